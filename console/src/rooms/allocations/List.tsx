// All allocations of all people, and the way to end one by force.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { listQuery } from "../../api/lists";
import type { Accepted, Allocation } from "../../api/types";
import { STATES } from "../workloads/views";
import { Ago, AskFirst, Choice, type Column, Empty, Field, Id, Page, PagedTable, State } from "../../ui/kit";

const COLUMNS: Column<Allocation>[] = [
  { head: "Name", cell: (one) => one.name },
  { head: "State", cell: (one) => <State of={one.display_status} /> },
  { head: "Hardware", cell: (one) => one.sku },
  { head: "Node", cell: (one) => <Id of={one.node_id} /> },
  { head: "User", cell: (one) => <Id of={one.user_id} /> },
  { head: "Created", cell: (one) => <Ago at={one.created_at} /> },
  { head: "Actions", cell: (one) => (["released", "failed"].includes(one.state) ? null : <Force of={one} />) },
];

function Force({ of }: { of: Allocation }) {
  const navigate = useNavigate();
  const [reason, setReason] = useState("");
  return (
    <AskFirst<Accepted>
      word="Force-release"
      small
      danger
      title={`End ${of.name} by force?`}
      ready={reason.trim() !== ""}
      act={{ path: `/api/v1/admin/allocations/${of.id}/force-release`, body: { reason: reason.trim() } }}
      onDone={(said) => void navigate({ to: "/admin/operations/$id" as string, params: { id: said.operation_id } as never })}
    >
      <p>Its programs are ended and its disk is deleted, whatever its owner is doing.</p>
      <Field label="Reason" required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} hint="Kept in the audit log." />
    </AskFirst>
  );
}

export function Allocations({ state, onState }: { state: string | undefined; onState: (state: string) => void }) {
  const list = useInfiniteQuery(listQuery<Allocation>("/api/v1/admin/allocations", { state }, 3000));
  return (
    <Page title="Allocations">
      <div className="filters">
        <Choice label="State" value={state ?? ""} onChange={onState} options={STATES} />
      </div>
      <PagedTable query={list} label="Allocations" columns={COLUMNS} id={(one) => one.id} empty={<Empty title="Nothing here" />} />
    </Page>
  );
}
