// What each cause of the queue asks of an operator: the next thing to do, and where.
import type { AttentionItem } from "../../api/types";
import type { Tone } from "../../ui/kit";
import { ALLOCATIONS, nodePath, runPath } from "../paths";

export const SEVERITY: Record<AttentionItem["severity"], { tone: Tone; word: string }> = {
  critical: { tone: "bad", word: "Critical" },
  warning: { tone: "warn", word: "Warning" },
  info: { tone: "quiet", word: "To decide" },
};

/** What many items of one cause are called together. */
export const TOGETHER: Record<string, string> = {
  offline: "nodes are offline",
  quarantined: "nodes are quarantined",
  operation_failed: "operations failed",
  release_failed: "releases are not proved",
  stale: "nodes have fallen silent",
  needs_approval: "nodes wait for approval",
  certificate_expiring: "certificates end soon",
  degraded: "nodes are degraded",
  slots_held: "nodes have slots that are held back",
  slots_waiting: "nodes have slots to approve or reject",
};

export function nextOf(item: AttentionItem): { word: string; to: string } {
  switch (item.cause) {
    case "needs_approval":
      return { word: "Review", to: nodePath(item.node_id) };
    case "slots_held":
      return { word: "See its slices", to: nodePath(item.node_id, "slices") };
    case "slots_waiting":
      return { word: "Decide", to: nodePath(item.node_id, "slices") };
    case "operation_failed":
      return { word: "View run", to: runPath(item.subject_id ?? "") };
    case "release_failed":
      return { word: "See the allocation", to: `${ALLOCATIONS}?state=release_failed&open=${item.subject_id ?? ""}` };
    default:
      return { word: "Open the node", to: nodePath(item.node_id) };
  }
}
