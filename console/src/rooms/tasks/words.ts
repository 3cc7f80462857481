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
