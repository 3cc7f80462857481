// The views of the list of workloads, and what may stand in its address.
import { at } from "../../api/at";

export const ROUTE = at("/api/v1/workloads");

export const VIEWS = [
  ["active", "Active"],
  ["attention", "Needs attention"],
  ["history", "History"],
  ["all", "All"],
] as const;

export interface Filters {
  view?: string | undefined;
  q?: string | undefined;
  project?: string | undefined;
  /** `name`, or `name=value`. */
  label?: string | undefined;
  sort?: string | undefined;
  /** What scripts may say instead of a view: a state. */
  status?: string | undefined;
}

/** The view that an address asks for: by its name, or by a state that stands in it. */
export function viewOf({ view, status }: Filters): string {
  if (VIEWS.some(([one]) => one === view)) return view ?? "active";
  if (status === "failed" || status === "released") return "history";
  if (status === "release_failed" || status === "degraded") return "attention";
  return "active";
}

/** The states of an allocation, as a choice. */
export const STATES = [
  ["", "Any state"],
  ["active", "Active"],
  ["requested", "Requested"],
  ["provisioning", "Provisioning"],
  ["releasing", "Releasing"],
  ["released", "Released"],
  ["failed", "Failed"],
  ["release_failed", "Release failed"],
] as const;
