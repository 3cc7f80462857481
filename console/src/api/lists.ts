// Queries that several rooms share. Lists page by cursor; live ones are asked for again when something changed.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import type { At } from "./at";
import { ask } from "./http";
import { pace } from "./live";
import type { Paged } from "./types";

type Filters = Record<string, string | number | undefined | null>;

/** A path with the filters that are set. */
export function pathOf(path: string, filters: Filters): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${path}${path.includes("?") ? "&" : "?"}${text}` : path;
}

/** One thing. `every` is how often it is asked for while nobody tells of changes, in milliseconds; false is never. */
export function oneQuery<T>(path: At<T>, every: number | false = false) {
  return queryOptions({
    queryKey: [path as string],
    queryFn: ({ signal }) => ask<T>(path, { signal }),
    refetchInterval: () => pace(path, every),
  });
}

/** A list, page after page. */
export function listQuery<T>(path: At<{ items: T[] }>, filters: Filters = {}, every: number | false = false) {
  return infiniteQueryOptions({
    queryKey: [path as string, filters],
    queryFn: ({ signal, pageParam }) => ask<Paged<T>>(pathOf(path, { ...filters, cursor: pageParam }), { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: () => pace(path, every),
    select: (pages) => pages.pages.flatMap((page) => page.items),
  });
}
