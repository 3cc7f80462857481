// One node: what it is, what may be done with it now and why not, its GPUs, slots, metrics and tasks.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { oneQuery } from "../../api/lists";
import type { Accepted, Gpu, Node, NodeTask, Paged } from "../../api/types";
import { models } from "./List";
import { NodeMetrics } from "./Metrics";
import { Slots } from "./Slots";
import { Ago, AskFirst, bytes, Empty, Facts, Failed, Id, Loaded, Loading, Notice, Page, State, Table, TabsAt } from "../../ui/kit";

export function NodePage({ id, tab, onTab }: { id: string; tab: string | undefined; onTab: (tab: string) => void }) {
  const one = useQuery(oneQuery<Node>(`/api/v1/admin/nodes/${id}`, 3000));
  if (!one.data) return <Page title="Node">{one.error ? <Failed error={one.error} retry={() => void one.refetch()} /> : <Loading />}</Page>;
  const it = one.data;
  return (
    <Page title={it.name}>
      {one.error && <Failed error={one.error} />}
      <div className="row" role="status">
        <State of={it.state} />
        <State of={it.presence} />
        <span className="hint">
          seen <Ago at={it.last_seen_at} />
        </span>
      </div>
      {it.health_reason && <Notice tone="warn" title={it.health_reason} />}
      {it.gpu_detail && <Notice tone="warn" title={it.gpu_detail} />}
      <Acts of={it} />
      <TabsAt
        label="Parts of this node"
        at={tab}
        onChange={onTab}
        tabs={[
          ["overview", "Overview", () => <Overview of={it} />],
          ["slots", "Slots", () => <Slots node={it.id} />],
          ["metrics", "Metrics", () => <NodeMetrics node={it.id} />],
          ["tasks", "Tasks", () => <Tasks node={it.id} />],
        ]}
      />
    </Page>
  );
}

function Acts({ of }: { of: Node }) {
  const navigate = useNavigate();
  const at = `/api/v1/admin/nodes/${of.id}`;
  if (of.state === "pending_approval") {
    return (
      <section className="card row" aria-label="Setup">
        <AskFirst word="Approve" title={`Let ${of.name} in?`} act={{ path: `${at}/approve` }}>
          <p>
            Compare the fingerprint with what the agent printed: <code className="break">{of.key_fingerprint}</code>
          </p>
        </AskFirst>
        <AskFirst word="Reject" danger title={`Reject ${of.name}?`} act={{ path: `${at}/reject` }}>
          <p>It gets no certificate and must enrol again.</p>
        </AskFirst>
      </section>
    );
  }
  const served = of.lifecycle === "in_service" ? undefined : "The node is not in service.";
  return (
    <section className="card row" aria-label="What can be done">
      <AskFirst<Accepted>
        word="Probe"
        title={`Probe ${of.name}?`}
        act={{ path: `${at}/probe` }}
        blocked={served ?? (of.presence === "online" ? undefined : "The node is not connected.")}
        onDone={(said) => void navigate({ to: "/admin/operations/$id" as string, params: { id: said.operation_id } as never })}
      >
        <p>The agent looks at its GPUs and walls again and reports. Workloads are not touched.</p>
      </AskFirst>
      {of.scheduling === "open" ? (
        <AskFirst word="Cordon" title={`Cordon ${of.name}?`} act={{ path: `${at}/cordon` }} blocked={served}>
          <p>Nothing new is placed on it. What runs there runs on.</p>
        </AskFirst>
      ) : (
        <AskFirst word="Uncordon" title={`Uncordon ${of.name}?`} act={{ path: `${at}/uncordon` }} blocked={served}>
          <p>New workloads may be placed on it again.</p>
        </AskFirst>
      )}
      <AskFirst
        word="Drain"
        danger
        title={`Drain ${of.name}?`}
        act={{ path: `${at}/drain` }}
        blocked={served ?? (of.scheduling === "draining" ? "It is draining." : undefined)}
      >
        <p>Nothing new is placed on it, and it waits until the last workload has left.</p>
      </AskFirst>
    </section>
  );
}

function Overview({ of }: { of: Node }) {
  return (
    <div className="stack">
      {of.gpus.length === 0 ? (
        <Empty title="No GPU is reported">
          <p>The driver says: {of.gpu_state ?? "nothing yet"}.</p>
        </Empty>
      ) : (
        <Table<Gpu>
          label="GPUs"
          rows={of.gpus}
          id={(gpu) => gpu.uuid}
          columns={[
            { head: "GPU", cell: (gpu) => `${gpu.index}: ${gpu.model.replace(/^NVIDIA /, "")}` },
            { head: "Id", cell: (gpu) => <Id of={gpu.uuid} /> },
            { head: "Busy", number: true, cell: (gpu) => given(gpu.utilization_percent, "%") },
            { head: "Memory", number: true, cell: (gpu) => `${bytes(gpu.memory_used_bytes)} of ${bytes(gpu.memory_total_bytes)}` },
            { head: "Heat", number: true, cell: (gpu) => given(gpu.temperature_c, "°C") },
            { head: "Power", number: true, cell: (gpu) => given(gpu.power_mw === null || gpu.power_mw === undefined ? null : Math.round(gpu.power_mw / 1000), "W") },
            { head: "Slices", cell: (gpu) => (gpu.mig_enabled ? gpu.mig.map((slice) => slice.profile).join(", ") || "none cut" : "whole") },
            { head: "Trouble", cell: (gpu) => gpu.error ?? "none" },
          ]}
        />
      )}
      <div className="card">
        <Facts
          of={[
            ["Hardware", models(of.gpus)],
            ["Host", of.host.hostname],
            ["System", `${of.host.os}, ${of.host.kernel}`],
            ["Driver", of.host.driver_version ?? "none"],
            ["CPU", `${of.host.cpus} (${of.host.arch})`],
            ["Memory", `${bytes(of.host.memory_used_bytes)} of ${bytes(of.host.memory_bytes)} used`],
            ["Disk", `${bytes(of.host.disk_free_bytes)} of ${bytes(of.host.disk_bytes)} free`],
            ["Isolation of cells", of.isolation],
            ["Not enforced", of.not_enforced.join(", ")],
            ["Shares its machine with", of.shares_machine_with.join(", ")],
            ["Agent", of.agent_version],
            ["Key", <code key="key">{of.key_fingerprint}</code>],
            ["Labels", Object.entries(of.labels).map(([name, value]) => `${name}=${value}`).join(", ")],
            ["Id", <code key="id">{of.id}</code>],
          ]}
        />
      </div>
    </div>
  );
}

function given(value: number | null | undefined, unit: string): string {
  return value === null || value === undefined ? "not reported" : `${value} ${unit}`;
}

function Tasks({ node }: { node: string }) {
  const list = useQuery(oneQuery<Paged<NodeTask>>(`/api/v1/admin/nodes/${node}/tasks`, 3000));
  return (
    <Loaded query={list}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title="No task was given to it yet" />
        ) : (
          <Table
            label="Tasks of the node"
            rows={items}
            id={(row) => row.id}
            columns={[
              { head: "Task", cell: (row) => row.kind },
              { head: "State", cell: (row) => <State of={row.state} /> },
              { head: "Attempt", number: true, cell: (row) => row.attempt },
              { head: "Result", cell: (row) => row.result_detail ?? row.result_code ?? row.progress },
              { head: "Given", cell: (row) => <Ago at={row.created_at} /> },
            ]}
          />
        )
      }
    </Loaded>
  );
}
