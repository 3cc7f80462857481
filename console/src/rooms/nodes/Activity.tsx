// Everything that was done to a node, its slots and its allocations, in one list with the ways on.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { ActivityItem } from "../../api/types";
import { type Column, Empty, Go, PagedTable, State, When } from "../../ui/kit";
import { RunLink, allocationPath, evidencePath } from "../paths";

const KINDS: Record<string, string> = { event: "Event", task: "Node task", operation: "Operation" };

const COLUMNS: Column<ActivityItem>[] = [
  { head: "When", cell: (one) => <When at={one.at} /> },
  { head: "What", cell: (one) => KINDS[one.kind] ?? one.kind },
  { head: "Did", cell: (one) => <span className="nowrap">{one.title}</span> },
  { head: "Outcome", cell: (one) => <State of={one.outcome} /> },
  { head: "By", cell: (one) => (one.actor.startsWith("nd_") ? "the node" : one.actor) },
  { head: "Detail", cell: (one) => <span className="anywhere">{one.detail || "none"}</span> },
  { head: "More", cell: (one) => <Ways of={one} /> },
];

function Ways({ of: { links } }: { of: ActivityItem }) {
  return (
    <span className="row tight nowrap">
      {links.operation_id && <RunLink of={links.operation_id} />}
      {links.target?.startsWith("al_") && <Go to={allocationPath(links.target)}>Allocation</Go>}
      <Go to={evidencePath({ correlation_id: links.correlation_id })} title={links.correlation_id}>
        Same request
      </Go>
    </span>
  );
}

export function Activity({ node }: { node: string }) {
  const list = useInfiniteQuery(listQuery<ActivityItem>(at("/api/v1/admin/nodes/{node_id}/activity", { node_id: node }), {}, 4000));
  return (
    <PagedTable query={list} label="Activity of the node" columns={COLUMNS} id={(one) => `${one.kind} ${one.id}`} empty={<Empty title="Nothing was done yet" />} />
  );
}
