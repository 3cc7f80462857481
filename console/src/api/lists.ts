// Queries that several rooms share. Lists page by cursor; live ones ask again while the page is seen.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { ask } from "./http";
import type { Paged } from "./types";

/** A path with the filters that are set. */
export function pathOf(path: string, filters: Record<string, string | number | undefined | null>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** One thing. `every` is how often it is asked for again, in milliseconds; false is never. */
export function oneQuery<T>(path: string, every: number | false = false) {
  return queryOptions({
    queryKey: [path],
    queryFn: ({ signal }) => ask<T>(path, { signal }),
    refetchInterval: every,
  });
}

/** A list, page after page. */
export function listQuery<T>(
  path: string,
  filters: Record<string, string | number | undefined | null> = {},
  every: number | false = false,
) {
  return infiniteQueryOptions({
    queryKey: [path, filters],
    queryFn: ({ signal, pageParam }) => ask<Paged<T>>(pathOf(path, { ...filters, cursor: pageParam }), { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: every,
    select: (pages) => pages.pages.flatMap((page) => page.items),
  });
}
