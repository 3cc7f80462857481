// What happened to a workload, newest first: its tasks and its audit trail in one list.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { ActivityLine, Allocation } from "../../api/types";
import { Empty, Go, PagedTable, When, type Column } from "../../ui/kit";
import { sayAction } from "../tasks/words";

/** What the coordinator does by itself is signed with the name of the part that did it. */
const OWN = /^(operations|nodes|slots|allocations|terminals|links|restore)\.[a-z_]+$/;

const COLUMNS: Column<ActivityLine>[] = [
  { head: "When", cell: (line) => <When at={line.at} /> },
  {
    head: "What",
    cell: (line) => {
      const [what] = sayAction(line.action, line.detail);
      return line.operation_id ? <Go to={`/tasks/${line.operation_id}`}>{what}</Go> : what;
    },
  },
  {
    head: "Detail",
    cell: (line) => {
      const [, detail] = sayAction(line.action, line.detail);
      return detail && <span className="break">{detail}</span>;
    },
  },
  { head: "By", cell: (line) => (line.by.startsWith("nd_") ? "The node" : line.by === "" || OWN.test(line.by) ? "Muster" : line.by) },
];

export function Events({ of }: { of: Allocation }) {
  const lines = useInfiniteQuery(listQuery(at("/api/v1/workloads/{workload_id}/activity", { workload_id: of.id }), {}, 3000));
  return (
    <PagedTable
      query={lines}
      label="What happened"
      columns={COLUMNS}
      id={(line) => `${line.at}${line.action}${line.detail}${line.correlation_id}${line.operation_id}`}
      empty={<Empty title="Nothing was noted yet" />}
    />
  );
}
