// Queries that several rooms share. Lists page by cursor; live ones are asked for again when something changed.
import { infiniteQueryOptions, queryOptions, type InfiniteData } from "@tanstack/react-query";
import type { At } from "./at";
import { ask } from "./http";
import { pace } from "./live";
import { heldAt, joined, unseen, type Held } from "./sight";
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

/** The rows of a list so far, and how many there are in all where the door knows. */
export type Rows<T> = T[] & { total?: number | undefined };

function rowsOf<T>({ pages }: InfiniteData<Paged<T>, unknown>): Rows<T> {
  const rows: Rows<T> = pages.flatMap((page) => page.items);
  rows.total = pages[0]?.total ?? undefined;
  return rows;
}

/** A list, page after page. */
export function listQuery<T>(path: At<{ items: T[] }>, filters: Filters = {}, every: number | false = false) {
  const page = (cursor: string | undefined, signal: AbortSignal) => ask<Paged<T>>(pathOf(path, { ...filters, cursor }), { signal });
  return infiniteQueryOptions({
    queryKey: [path as string, filters],
    queryFn: async ({ signal, pageParam, client, queryKey }) => {
      const held: Held<T> = client.getQueryData(queryKey);
      const kept = unseen(held, pageParam);
      if (kept) return kept;
      const [fresh, before] = [await page(pageParam, signal), heldAt(held, pageParam)];
      if (!before?.next_cursor || !fresh.next_cursor) return fresh;
      const whole = joined(fresh, before);
      if (whole) return whole;
      // What came on top pushed the last rows of the page off it.
      const more = await page(fresh.next_cursor, signal);
      return joined({ ...fresh, items: [...fresh.items, ...more.items], next_cursor: more.next_cursor ?? null }, before) ?? fresh;
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    refetchInterval: () => pace(path, every),
    select: rowsOf<T>,
  });
}
