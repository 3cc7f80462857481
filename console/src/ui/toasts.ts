// Short notes that outlive the page they were made on: what happened, and where it went.
import { useSyncExternalStore } from "react";

export interface Toast {
  id: number;
  text: string;
  link?: { to: string; word: string } | undefined;
}

/** How long a note stays, in milliseconds. */
export const STAYS_MS = 8000;
const MOST = 4;

let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(to: readonly Toast[]): void {
  toasts = to;
  for (const listener of listeners) listener();
}

export function say(text: string, link?: { to: string; word: string }): void {
  const id = next;
  next += 1;
  set([...toasts, { id, text, link }].slice(-MOST));
}

export function dismiss(id: number): void {
  set(toasts.filter((one) => one.id !== id));
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}
