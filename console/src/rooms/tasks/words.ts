// Operations in words: what kind of act, on what.
import type { Operation } from "../../api/types";
import { wordOf } from "../../ui/kit";

const KINDS: Record<string, string> = {
  "allocations.launch": "Launch",
  "allocations.release": "Release",
  "allocations.force_release": "Forced release",
  "nodes.probe": "Probe",
};

/** `allocations.launch` → `Launch of h100-ab12` where the name is known. */
export function sayKind({ kind, context }: Operation): string {
  const word = KINDS[kind] ?? wordOf(kind.replaceAll(".", " "));
  const name = nameIn(context);
  return name ? `${word} of ${name}` : word;
}

function nameIn(context: unknown): string | undefined {
  const { name, sku } = (context ?? {}) as { name?: unknown; sku?: unknown };
  if (typeof name === "string" && name) return name;
  return typeof sku === "string" && sku ? sku : undefined;
}

const STEPS: Record<string, string> = {
  reserve: "Reserve the hardware",
  prepare: "Prepare the machine",
  start: "Start it",
  ready: "Check that it answers",
  sessions: "Tell and close its sessions",
  end_cell: "End its programs",
  receipt: "Prove that nothing is left",
  free_slots: "Free the hardware",
};

export function sayStep(name: string): string {
  return STEPS[name] ?? wordOf(name);
}

const ACTIONS: Record<string, string> = {
  "allocations.create": "Launched",
  "allocations.release": "Release asked for",
  "allocations.force_release": "Release forced",
  "allocations.ssh_keys": "Keys changed",
  "allocation.provisioning": "The machine prepares it",
  "allocation.active": "Came up",
  "allocation.degraded": "Node not heard of",
  "allocation.failed": "Failed",
  "allocation.released": "Released",
  "allocation.cleanup_receipt": "Proof of cleanup",
  "terminal.opened": "Terminal opened",
  "terminal.closed": "Terminal closed",
  "tunnel.opened": "Tunnel opened",
  "tunnel.closed": "Tunnel closed",
};

/** A line of a workload's life in words: `allocations.launch.step` with `start: active` → `Launch: start it, active`. */
export function sayAction(action: string, detail: string): [what: string, detail: string] {
  const known = ACTIONS[action];
  if (known) return [known, detail];
  const cut = action.lastIndexOf(".");
  const kind = KINDS[action.slice(0, cut)];
  const what = action.slice(cut + 1);
  if (!kind) return [wordOf(action.replaceAll(".", " ")), detail];
  if (what === "created") return [`${kind} began`, ""];
  if (what === "ended") return [`${kind} ended`, wordOf(detail)];
  const [step = "", ...state] = detail.split(": ");
  return what === "step" ? [`${kind}: ${sayStep(step).toLowerCase()}`, wordOf(state.join(": "))] : [`${kind}: ${what}`, detail];
}

/** A line of an operation's timeline in words. */
export function sayLine(kind: string, detail: string): [what: string, detail: string] {
  if (kind === "created") return ["Asked for", ""];
  if (kind !== "step") return [wordOf(kind), kind === "ended" ? wordOf(detail) : detail];
  const [step = "", ...state] = detail.split(": ");
  return [sayStep(step), wordOf(state.join(": "))];
}
