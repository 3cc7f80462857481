// What the person has chosen so far, and the request it becomes.
import type { Launch } from "../../api/types";

export interface Draft {
  /** Same request, same key: a double click is one launch. */
  key: string;
  sku: string;
  name: string;
  /** One line as in a shell; empty is interactive. */
  command: string;
  ssh: boolean;
  releaseOnExit: boolean;
}

export function emptyDraft(): Draft {
  return { key: crypto.randomUUID(), sku: "", name: "", command: "", ssh: true, releaseOnExit: false };
}

export function bodyOf(draft: Draft): Launch {
  const command = draft.command.trim();
  return {
    sku: draft.sku,
    ...(draft.name.trim() ? { name: draft.name.trim() } : {}),
    ...(command ? { command: ["sh", "-c", command], release_on_exit: draft.releaseOnExit } : {}),
    ...(draft.ssh ? {} : { ssh_key_ids: [] }),
  };
}
