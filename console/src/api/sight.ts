// Long lists stay true where they are looked at: when something changed, the pages in sight are asked for again, the
// others when they come into sight.
import type { InfiniteData } from "@tanstack/react-query";
import type { Paged } from "./types";

/** A first page that grew beyond so many rows by what came on top is cut into pages anew. */
const GROWN = 400;

const sights = new Map<object, ReadonlySet<unknown>>();

/** Tells which rows of a table are on the screen; `undefined` when it is gone. */
export function looksAt(table: object, rows: ReadonlySet<unknown> | undefined): void {
  if (rows) sights.set(table, rows);
  else sights.delete(table);
}

function inSight<T>({ items }: Paged<T>): boolean {
  for (const rows of sights.values()) if (items.some((row) => rows.has(row))) return true;
  return false;
}

export type Held<T> = InfiniteData<Paged<T>, string | undefined> | undefined;

/** The page that is held, if only other pages of its list are looked at. The first is always asked for: it counts. */
export function unseen<T>(held: Held<T>, cursor: string | undefined): Paged<T> | undefined {
  const page = cursor === undefined ? undefined : heldAt(held, cursor);
  return page && !inSight(page) && held?.pages.some(inSight) ? page : undefined;
}

export function heldAt<T>(held: Held<T>, cursor: string | undefined): Paged<T> | undefined {
  return held?.pages[held.pageParams.indexOf(cursor)];
}

/** A page that ends where it ended before, so that the pages after it still follow; nothing, if it cannot. */
export function joined<T>(fresh: Paged<T>, before: Paged<T>): Paged<T> | undefined {
  if (fresh.next_cursor === before.next_cursor) return fresh;
  const end = idOf(before.items.at(-1));
  const at = end === undefined ? -1 : fresh.items.findIndex((row) => idOf(row) === end);
  if (at < 0 || at >= GROWN) return undefined;
  return { ...fresh, items: fresh.items.slice(0, at + 1), next_cursor: before.next_cursor ?? null };
}

function idOf(row: unknown): unknown {
  return (row as { id?: unknown } | undefined)?.id;
}
