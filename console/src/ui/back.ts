// How a list was left: its address with filters, so that the way back leads to the same view.
const left = new Map<string, string>();

/** Remembers the search of a page under its path. */
export function remember(path: string, search: string): void {
  left.set(path, search);
}

/** The address of a page as it was left in this tab. */
export function backTo(path: string): string {
  return path + (left.get(path) ?? "");
}
