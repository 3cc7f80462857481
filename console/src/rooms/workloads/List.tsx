// All allocations of the person: what runs, what needs attention, filtered by an address that can be shared.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { listQuery } from "../../api/lists";
import type { Allocation } from "../../api/types";
import { Ago, Empty, Notice, Page } from "../../ui/kit";
import { Choice, PagedTable, State, type Column } from "../../ui/parts";

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

const COLUMNS: Column<Allocation>[] = [
  {
    head: "Name",
    cell: (one) => (
      <Link to={"/workloads/$id" as string} params={{ id: one.id } as never}>
        {one.name}
      </Link>
    ),
  },
  { head: "State", cell: (one) => <State of={one.display_status} /> },
  { head: "Hardware", cell: (one) => one.sku },
  { head: "Command", cell: (one) => (one.command?.length ? <code className="clip">{one.command.join(" ")}</code> : "Interactive") },
  { head: "Created", cell: (one) => <Ago at={one.created_at} /> },
];

export function Workloads({ state, onState }: { state: string | undefined; onState: (state: string) => void }) {
  const list = useInfiniteQuery(listQuery<Allocation>("/api/v1/allocations", { state }, 3000));
  const bad = list.data?.filter((one) => ["failed", "release_failed", "degraded"].includes(one.state)) ?? [];
  return (
    <Page
      title="Workloads"
      aside={
        <Link className="button primary" to={"/compute/launch" as string}>
          Launch a workload
        </Link>
      }
    >
      {bad.length > 0 && !state && (
        <Notice tone="warn" title={bad.length === 1 ? "One workload needs attention" : `${bad.length} workloads need attention`}>
          <ul>
            {bad.slice(0, 3).map((one) => (
              <li key={one.id}>
                <Link to={"/workloads/$id" as string} params={{ id: one.id } as never}>
                  {one.name}
                </Link>
                : {one.failure_reason?.detail ?? one.release_failed_reason ?? one.display_status}
              </li>
            ))}
          </ul>
        </Notice>
      )}
      <div className="filters">
        <Choice label="State" value={state ?? ""} onChange={onState} options={STATES} />
      </div>
      <PagedTable
        query={list}
        label="Workloads"
        columns={COLUMNS}
        id={(one) => one.id}
        empty={
          state ? (
            <Empty title="No workload is in this state" />
          ) : (
            <Empty title="Nothing runs yet">
              <p>A workload is a container on one machine with the GPUs you choose, and a terminal into it.</p>
              <Link className="button primary" to={"/compute/launch" as string}>
                Launch the first one
              </Link>
            </Empty>
          )
        }
      />
    </Page>
  );
}
