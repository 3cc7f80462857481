// What a node is: its GPUs as they are now, its machine, its identity.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { Certificates, Gpu, Node, Xids } from "../../api/types";
import { Empty, Facts, Go, Id, Loaded, State, Table, When, bytes } from "../../ui/kit";
import { nodePath } from "../paths";
import { given, models, short } from "./words";

export function Facets({ of }: { of: Node }) {
  return (
    <div className="stack">
      {of.gpus.length === 0 ? (
        <div className="card">
          <Empty title="No GPU is reported">
            <p>The driver says: {of.gpu_state ?? "nothing yet"}.</p>
          </Empty>
        </div>
      ) : (
        <Table<Gpu>
          label="GPUs"
          rows={of.gpus}
          id={(gpu) => gpu.uuid}
          columns={[
            { head: "GPU", cell: (gpu) => `${gpu.index}: ${short(gpu.model)}` },
            { head: "Id", cell: (gpu) => <Id of={gpu.uuid} /> },
            { head: "Busy", number: true, cell: (gpu) => given(gpu.utilization_percent, "%") },
            { head: "Memory", number: true, cell: (gpu) => `${bytes(gpu.memory_used_bytes)} of ${bytes(gpu.memory_total_bytes)}` },
            { head: "Heat", number: true, cell: (gpu) => given(gpu.temperature_c, "°C") },
            { head: "Power", number: true, cell: (gpu) => given(watts(gpu.power_mw), "W") },
            { head: "ECC uncorrected", number: true, cell: (gpu) => given(gpu.ecc_uncorrected, "").trim() },
            { head: "Slices", cell: (gpu) => (gpu.mig_enabled ? gpu.mig.map((slice) => slice.profile).join(", ") || "none cut" : "whole") },
            { head: "Trouble", cell: (gpu) => (gpu.error ? <span className="error-text">{gpu.error}</span> : "none") },
          ]}
        />
      )}
      <div className="card">
        <Facts
          of={[
            ["Hardware", models(of.gpus)],
            ["Host", of.host.hostname],
            ["System", [of.host.os, of.host.kernel].filter(Boolean).join(", ")],
            ["Driver", of.host.driver_version ?? "none"],
            ["CPU", `${of.host.cpus} (${of.host.arch || "unknown"})`],
            ["Memory", `${bytes(of.host.memory_used_bytes)} of ${bytes(of.host.memory_bytes)} used`],
            ["Disk", `${bytes(of.host.disk_free_bytes)} of ${bytes(of.host.disk_bytes)} free`],
            ["Isolation of cells", of.isolation],
            ["Not enforced", of.not_enforced.join(", ")],
            ["Shares its machine with", of.shares_machine_with.length > 0 ? of.shares_machine_with.map((id) => <div key={id} className="peer"><Go to={nodePath(id)}>{id}</Go></div>) : null],
            ["Agent", of.agent_version],
            ["Key", <code key="key">{of.key_fingerprint}</code>],
            ["Labels", Object.entries(of.labels).map(([name, value]) => `${name}=${value}`).join(", ")],
            ["Token that let it in", <code key="token">{of.token_id}</code>],
            ["Id", <code key="id">{of.id}</code>],
          ]}
        />
      </div>
      <CertificatesOf node={of.id} />
      <XidsOf node={of.id} />
    </div>
  );
}

function watts(milliwatts: number | null | undefined): number | null {
  return milliwatts === null || milliwatts === undefined ? null : Math.round(milliwatts / 1000);
}

function CertificatesOf({ node }: { node: string }) {
  const list = useQuery(oneQuery<Certificates>(at("/api/v1/admin/nodes/{node_id}/certificates", { node_id: node }), 30_000));
  return (
    <section className="stack tight" aria-labelledby="certificates-head">
      <h2 id="certificates-head">Certificates</h2>
      <Loaded query={list} lines={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="hint">It was given none yet.</p>
          ) : (
            <Table
              label="Newest certificates"
              rows={items.slice(0, 5)}
              id={(one) => one.id}
              columns={[
                { head: "State", cell: (one) => <State of={one.state} /> },
                { head: "Because of", cell: (one) => one.reason },
                { head: "Issued", cell: (one) => <When at={one.issued_at} /> },
                { head: "Ends", cell: (one) => <When at={one.expires_at} /> },
                { head: "Serial", cell: (one) => <Id of={one.id} /> },
              ]}
            />
          )
        }
      </Loaded>
    </section>
  );
}

function XidsOf({ node }: { node: string }) {
  const list = useQuery(oneQuery<Xids>(at("/api/v1/admin/nodes/{node_id}/xids", { node_id: node }, { limit: 20 }), 10_000));
  if (!list.data || list.data.items.length === 0) return null;
  return (
    <section className="stack tight" aria-labelledby="xids-head">
      <h2 id="xids-head">XID errors</h2>
      <Table
        label="Newest XID errors"
        rows={list.data.items}
        id={(one) => `${one.at} ${one.gpu_uuid} ${one.xid}`}
        columns={[
          { head: "When", cell: (one) => <When at={one.at} /> },
          { head: "XID", number: true, cell: (one) => one.xid },
          { head: "GPU", cell: (one) => <Id of={one.gpu_uuid} /> },
          { head: "Heard from", cell: (one) => one.source },
        ]}
      />
    </section>
  );
}
