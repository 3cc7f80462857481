// What was asked for and how far it is.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { listQuery } from "../../api/lists";
import type { Operation } from "../../api/types";
import { Ago, Empty, Page } from "../../ui/kit";
import { Choice, PagedTable, State, type Column } from "../../ui/parts";
import { took } from "./Steps";

const STATES = [
  ["", "Any state"],
  ["queued", "Queued"],
  ["running", "Running"],
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"],
] as const;

export function Operations(props: { title: string; to: string; state: string | undefined; onState: (state: string) => void }) {
  const list = useInfiniteQuery(listQuery<Operation>("/api/v1/operations", { state: props.state }, 3000));
  const columns: Column<Operation>[] = [
    {
      head: "What",
      cell: (one) => (
        <Link to={props.to} params={{ id: one.id } as never}>
          {one.kind}
        </Link>
      ),
    },
    { head: "State", cell: (one) => <State of={one.outcome ?? one.state} /> },
    { head: "On", cell: (one) => <code>{one.subject.id}</code> },
    { head: "By", cell: (one) => one.initiator.name || one.initiator.kind },
    { head: "Took", number: true, cell: (one) => took(one.started_at, one.ended_at) },
    { head: "Asked for", cell: (one) => <Ago at={one.created_at} /> },
  ];
  return (
    <Page title={props.title}>
      <div className="filters">
        <Choice label="State" value={props.state ?? ""} onChange={props.onState} options={STATES} />
      </div>
      <PagedTable query={list} label={props.title} columns={columns} id={(one) => one.id} empty={<Empty title="Nothing was asked for yet" />} />
    </Page>
  );
}
