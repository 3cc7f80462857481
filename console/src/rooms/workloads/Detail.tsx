// One allocation: how it is, how to get in, what happened, what it was asked to be.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { oneQuery } from "../../api/lists";
import type { Accepted, Allocation, Line, Operation, Paged, ShellSession } from "../../api/types";
import { Ago, Button, CopyLine, Empty, Failed, Loaded, Loading, Notice, Page } from "../../ui/kit";
import { AskFirst, Facts, Id, State, Table, TabsAt } from "../../ui/parts";
import { Steps } from "../tasks/Steps";

const OVER = ["released", "failed"];

export function Workload({ id, tab, onTab }: { id: string; tab: string | undefined; onTab: (tab: string) => void }) {
  const one = useQuery(oneQuery<Allocation>(`/api/v1/allocations/${id}`, 2000));
  if (!one.data) {
    return <Page title="Workload">{one.error ? <Failed error={one.error} retry={() => void one.refetch()} /> : <Loading />}</Page>;
  }
  const it = one.data;
  return (
    <Page title={it.name} aside={<Acts of={it} />}>
      {one.error && <Failed error={one.error} />}
      <div className="row" aria-live="polite">
        <State of={it.display_status} />
        {it.step && !OVER.includes(it.state) && <span className="hint">{it.step}</span>}
      </div>
      {it.failure_reason && (
        <Notice tone="bad" title={it.failure_reason.detail || it.failure_reason.code}>
          {it.failure_reason.correlation_id && <p className="hint">Reference {it.failure_reason.correlation_id}</p>}
        </Notice>
      )}
      {it.release_failed_reason && <Notice tone="bad" title={it.release_failed_reason} />}
      <TabsAt
        label="Parts of this workload"
        at={tab}
        onChange={onTab}
        tabs={[
          ["overview", "Overview", () => <Overview of={it} />],
          ["connect", "Connect", () => <Connect of={it} />],
          ["events", "Events", () => <Events of={it} />],
          ["config", "Config", () => <Config of={it} />],
        ]}
      />
    </Page>
  );
}

function Acts({ of }: { of: Allocation }) {
  const navigate = useNavigate();
  const over = OVER.includes(of.state) || of.state === "releasing";
  return (
    <>
      <Button
        look="primary"
        blocked={of.state === "active" ? undefined : over ? "This workload has ended." : "It is not up yet."}
        onPress={() => void navigate({ to: "/workloads/$id/terminal" as string, params: { id: of.id } as never })}
      >
        Terminal
      </Button>
      {!over && (
        <AskFirst<Accepted>
          word="Release"
          danger
          title={`Release ${of.name}?`}
          act={{ path: `/api/v1/allocations/${of.id}/release` }}
          onDone={(said) => void navigate({ to: "/tasks/$id" as string, params: { id: said.operation_id } as never })}
        >
          <p>Its programs are ended and its disk is deleted. This cannot be undone.</p>
        </AskFirst>
      )}
    </>
  );
}

function Overview({ of }: { of: Allocation }) {
  return (
    <div className="card">
      <Facts
        of={[
          ["Hardware", of.sku],
          ["Slots", of.slots.map((slot) => <div key={slot.id}>{slot.profile ?? slot.kind} {slot.gpu_uuid && <Id of={slot.gpu_uuid} />}</div>)],
          ["Node", <Id key="node" of={of.node_id} />],
          ["Isolation", of.isolation],
          ["Not enforced", of.not_enforced.join(", ")],
          ["Created", <Ago key="created" at={of.created_at} />],
          ["Active since", of.active_at && <Ago key="active" at={of.active_at} />],
          ["Ended", of.ended_at && <Ago key="ended" at={of.ended_at} />],
          ["Exit code", of.exit_code],
          ["Released at", of.release_at && new Date(of.release_at).toLocaleString()],
          ["Id", <code key="id">{of.id}</code>],
        ]}
      />
    </div>
  );
}

function Connect({ of }: { of: Allocation }) {
  const shells = useQuery({ ...oneQuery<Paged<ShellSession>>(`/api/v1/allocations/${of.id}/sessions`, 3000) });
  if (of.state !== "active") return <Empty title={OVER.includes(of.state) ? "This workload has ended" : "It is not up yet"} />;
  return (
    <div className="stack">
      <section className="card stack">
        <h2>In the browser</h2>
        <p>A terminal that goes on when the page is closed, and comes back where it was.</p>
        <div>
          <Link className="button" to={"/workloads/$id/terminal" as string} params={{ id: of.id } as never}>
            Open the terminal
          </Link>
        </div>
      </section>
      <section className="card stack">
        <h2>By SSH</h2>
        {of.ssh.command ? (
          <>
            <CopyLine text={of.ssh.command} what="the SSH command" />
            {of.ssh.host_key && (
              <p className="hint">
                Host key <code className="break">{of.ssh.host_key}</code>
              </p>
            )}
            <p className="hint">The muster command must be installed and signed in: the machine has no public address.</p>
          </>
        ) : (
          <p>This workload was launched without an SSH key.</p>
        )}
      </section>
      <section className="stack tight">
        <h2>Terminal sessions</h2>
        <Loaded query={shells} lines={2}>
          {({ items }) =>
            items.length === 0 ? (
              <p className="hint">None was opened yet.</p>
            ) : (
              <Table
                label="Terminal sessions"
                rows={items}
                id={(row) => row.id}
                columns={[
                  { head: "Session", cell: (row) => <Id of={row.id} /> },
                  { head: "Kind", cell: (row) => row.kind },
                  { head: "State", cell: (row) => <State of={row.state} /> },
                  { head: "Opened", cell: (row) => <Ago at={row.opened_at} /> },
                  { head: "From", cell: (row) => row.source_ip ?? "not known" },
                ]}
              />
            )
          }
        </Loaded>
      </section>
    </div>
  );
}

function Events({ of }: { of: Allocation }) {
  return (
    <div className="stack">
      {of.release_operation_id && <Timeline id={of.release_operation_id} />}
      <Timeline id={of.operation_id} />
    </div>
  );
}

function Timeline({ id }: { id: string }) {
  const operation = useQuery(oneQuery<Operation>(`/api/v1/operations/${id}`, 3000));
  const lines = useQuery(oneQuery<Paged<Line>>(`/api/v1/operations/${id}/events`, 3000));
  return (
    <section className="card stack">
      <Loaded query={operation}>
        {(it) => (
          <>
            <div className="row apart">
              <h2>{it.kind}</h2>
              <Link to={"/tasks/$id" as string} params={{ id } as never}>
                Open the task
              </Link>
            </div>
            <Steps of={it} />
          </>
        )}
      </Loaded>
      {lines.data && lines.data.items.length > 0 && (
        <Table
          label="What happened"
          rows={lines.data.items}
          id={(row) => String(row.seq)}
          columns={[
            { head: "When", cell: (row) => new Date(row.at).toLocaleTimeString() },
            { head: "What", cell: (row) => row.kind },
            { head: "Detail", cell: (row) => row.detail },
          ]}
        />
      )}
    </section>
  );
}

function Config({ of }: { of: Allocation }) {
  return (
    <div className="card">
      <Facts
        of={[
          ["Command", of.command?.length ? <code key="command" className="break">{of.command.join(" ")}</code> : "Interactive: runs until it is released"],
          ["Environment", of.env.length ? of.env.join(", ") : "none"],
          ["Labels", Object.entries(of.labels).map(([name, value]) => `${name}=${value}`).join(", ") || "none"],
          ["Longest run", of.max_runtime_s ? `${of.max_runtime_s} s` : "no limit"],
          ["Released when the command ends", of.release_on_exit ? "Yes" : "No"],
          ["SSH keys", of.ssh_key_ids.length],
          ["Project", <code key="project">{of.project_id}</code>],
        ]}
      />
    </div>
  );
}
