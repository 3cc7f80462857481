// Where the operator's pages stand. Links to runs are made here and nowhere else.
import { Go } from "../ui/kit";

export const LIFECYCLE = "/platform/lifecycle";
export const TOKENS = "/platform/lifecycle/tokens";
export const ALLOCATIONS = "/platform/allocations";
export const SKUS = "/platform/config/skus";
export const USERS = "/platform/users";
export const EVIDENCE = "/platform/evidence";
export const RUNS = "/admin/operations";

export function nodePath(id: string, tab?: string): string {
  return `${LIFECYCLE}/nodes/${id}${tab ? `?tab=${tab}` : ""}`;
}

export function allocationPath(id: string): string {
  return `${ALLOCATIONS}?open=${id}`;
}

export function userPath(id: string): string {
  return `${USERS}/${id}`;
}

export function runPath(id: string): string {
  return `${RUNS}/${id}`;
}

/** The audit log narrowed to something. */
export function evidencePath(filters: Record<string, string>): string {
  return `${EVIDENCE}?${new URLSearchParams(filters).toString()}`;
}

export function RunLink({ of }: { of: string }) {
  return <Go to={runPath(of)}>View run</Go>;
}
