// Why a workload asks for attention, and what its node is called.
import type { Allocation } from "../../api/types";

export function nodeOf(of: Allocation): string {
  return of.node_name ?? of.node_id;
}

/** Its command ended by itself, and not well. */
export function endedBadly({ state, exit_code }: Allocation): boolean {
  return state !== "degraded" && Boolean(exit_code);
}

export function whyOf(of: Allocation): string {
  if (of.failure_reason) return of.failure_reason.detail || of.failure_reason.code;
  if (of.release_failed_reason) return of.release_failed_reason;
  if (endedBadly(of)) return `Ended with exit code ${of.exit_code}.`;
  return `Its node ${nodeOf(of)} has not been heard of for a while.`;
}
