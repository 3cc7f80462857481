// What was asked for and how far it is.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { Operation } from "../../api/types";
import { Ago, Choice, Empty, FilteredEmpty, Go, GoButton, Id, Name, Page, PagedTable, State, type Column } from "../../ui/kit";
import { By } from "./By";
import { took } from "./Steps";
import { sayKind } from "./words";

const STATES = [
  ["", "Any state"],
  ["queued", "Queued"],
  ["running", "Running"],
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"],
] as const;

/** `to` holds `$id` where the id goes. */
export function Operations(props: { title: string; to: string; state: string | undefined; onState: (state: string) => void }) {
  const list = useInfiniteQuery(listQuery<Operation>(at("/api/v1/operations"), { state: props.state }, 3000));
  const columns: Column<Operation>[] = [
    { head: "What", cell: (one) => <Go to={props.to.replace("$id", one.id)}><Name of={sayKind(one)} /></Go> },
    { head: "State", cell: (one) => <State of={one.outcome ?? one.state} /> },
    { head: "On", cell: (one) => <Id of={one.subject.id} /> },
    { head: "By", cell: (one) => <By of={one.initiator} /> },
    { head: "Took", number: true, cell: (one) => took(one.started_at, one.ended_at) },
    { head: "Asked for", cell: (one) => <Ago at={one.created_at} /> },
  ];
  return (
    <Page title={props.title}>
      <div className="filters">
        <Choice label="State" value={props.state ?? ""} onChange={props.onState} options={STATES} />
      </div>
      <PagedTable
        query={list}
        label={props.title}
        columns={columns}
        id={(one) => one.id}
        empty={props.state ? <FilteredEmpty what="task" onClear={() => props.onState("")} /> : (
          <Empty title="Nothing was asked for yet">
            <p>Whatever takes time stands here with its steps, such as a launch.</p>
            <GoButton to="/launch/compute">Launch a workload</GoButton>
          </Empty>
        )}
      />
    </Page>
  );
}
