// The ways in: the terminal, plain ssh, and who has a session open.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import type { Allocation } from "../../api/types";
import { Ago, AskFirst, CopyLine, Empty, Go, GoButton, Id, Loaded, State, Table } from "../../ui/kit";
import { KeysOf } from "./KeysOf";
import { OVER } from "./Detail";

export function Connect({ of }: { of: Allocation }) {
  const open = of.state === "active" || of.state === "degraded";
  const keys = useInfiniteQuery(listQuery(at("/api/v1/ssh-keys")));
  if (!open) {
    return (
      <div className="card">
        <Empty title={OVER.includes(of.state) || of.state === "releasing" ? "This workload has ended" : "It is not up yet"}>
          {!OVER.includes(of.state) && (
            <Go to={`/tasks/${of.release_operation_id ?? of.operation_id}`}>Watch how far it is</Go>
          )}
        </Empty>
      </div>
    );
  }
  return (
    <div className="stack">
      <section className="card stack">
        <h2>In the browser</h2>
        <p>A terminal that goes on when the page is closed, and comes back where it was.</p>
        <div>
          <GoButton to={`/workloads/${of.id}/terminal`}>Open the terminal</GoButton>
        </div>
      </section>
      <section className="card stack">
        <h2>By SSH</h2>
        {of.ssh.command ? (
          <>
            <CopyLine text={of.ssh.command} what="the SSH command" />
            <p className="hint">
              The machine has no public address: the command goes through the <code>muster</code> program, which must be
              installed and signed in. Shorter: <code>muster ssh {of.name}</code>.
            </p>
            {of.ssh.host_key && (
              <details>
                <summary>Host key</summary>
                <code className="break">{of.ssh.host_key}</code>
              </details>
            )}
          </>
        ) : (
          <p>No key may log in yet. Choose keys below.</p>
        )}
        <KeysOf of={of} keys={keys} />
      </section>
      <Sessions of={of} />
    </div>
  );
}

function Sessions({ of }: { of: Allocation }) {
  const shells = useQuery(oneQuery(at("/api/v1/allocations/{allocation_id}/sessions", { allocation_id: of.id }), 3000));
  return (
    <section className="stack tight">
      <h2>Sessions</h2>
      <Loaded query={shells} lines={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="hint">None was opened yet.</p>
          ) : (
            <Table
              label="Sessions"
              rows={items}
              id={(row) => row.id}
              columns={[
                { head: "Session", cell: (row) => <Id of={row.id} /> },
                { head: "Kind", cell: (row) => row.kind },
                { head: "State", cell: (row) => <State of={row.state} /> },
                { head: "Opened", cell: (row) => <Ago at={row.opened_at} /> },
                { head: "From", cell: (row) => row.source_ip ?? "not known" },
                {
                  head: "End",
                  cell: (row) =>
                    row.state !== "ended" && (
                      <AskFirst
                        small
                        danger
                        word="End"
                        title="End this session?"
                        act={{ path: `/api/v1/allocations/${of.id}/sessions/${row.id}`, method: "DELETE" }}
                      >
                        <p>The programs in it are told to stop, and ended two seconds later.</p>
                      </AskFirst>
                    ),
                },
              ]}
            />
          )
        }
      </Loaded>
    </section>
  );
}
