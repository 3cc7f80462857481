// What a node offers: a picture of each GPU with its slices, and the same as a table with what can be decided.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import type { Allocation, Node, Paged, Slot } from "../../api/types";
import { AskFirst, type Column, Empty, Field, Go, Id, Loaded, State, Table } from "../../ui/kit";
import { Progress } from "../operations/Progress";
import { allocationPath } from "../paths";
import { Cells } from "./Cells";
import { GpuPicture } from "./GpuPicture";
import { short } from "./words";

const EVERY_MS = 3000;

/** Leases of the node by allocation, so that a slot names who has it. */
function useLeases(node: string): Map<string, Allocation> {
  const list = useInfiniteQuery(listQuery<Allocation>(at("/api/v1/admin/allocations"), { node_id: node, limit: 200 }, EVERY_MS));
  return new Map((list.data ?? []).map((one) => [one.id, one]));
}

export function Slices({ of }: { of: Node }) {
  const list = useQuery(oneQuery<Paged<Slot>>(at("/api/v1/admin/nodes/{node_id}/slots", { node_id: of.id }), EVERY_MS));
  const leases = useLeases(of.id);
  return (
    <div className="stack">
      <Discover of={of} />
      <Loaded query={list}>
        {({ items }) =>
          items.length === 0 ? (
            <div className="card">
              <Empty title="Nothing was found to offer">
                <p>Slots come with the agent's inventory: GPUs, MIG slices, or shares of the CPU where there is no GPU.</p>
              </Empty>
            </div>
          ) : (
            <>
              <Waiting of={of} slots={items} />
              <div className="gpu-pictures">
                {gpusOf(of, items).map(([uuid, slots]) => (
                  <GpuPicture key={uuid} title={titleOf(of, uuid)} model={modelOf(of, uuid)} slots={slots} leases={leases} />
                ))}
              </div>
              <SlotTable node={of} slots={items} leases={leases} />
            </>
          )
        }
      </Loaded>
      <Cells node={of.id} />
    </div>
  );
}

/** Looks for slots now; agents do so by themselves, too. */
function Discover({ of }: { of: Node }) {
  const [begun, setBegun] = useState<string>();
  const blocked = of.presence === "online" ? undefined : "Its agent is not connected.";
  return (
    <div className="stack">
      <div className="row end">
        <AskFirst<{ operation_id: string }>
          word="Look for slots"
          title={`Look for slots on ${of.name}?`}
          small
          blocked={blocked}
          act={{ path: at("/api/v1/admin/nodes/{node_id}/slots/discover", { node_id: of.id }) }}
          onDone={(answer) => setBegun(answer.operation_id)}
        >
          <p>Its agent looks at its GPUs and MIG instances anew. Workloads are not touched; what is new waits for approval.</p>
        </AskFirst>
      </div>
      {begun && <Progress of={begun} onDismiss={() => setBegun(undefined)} />}
    </div>
  );
}

/** Slots by GPU, in the order of the machine's own numbers. */
function gpusOf(node: Node, slots: Slot[]): [string, Slot[]][] {
  const gpus = new Map<string, Slot[]>();
  for (const slot of inOrder(node, slots).filter((one) => one.state !== "retired")) {
    const uuid = slot.gpu_uuid ?? "";
    gpus.set(uuid, [...(gpus.get(uuid) ?? []), slot]);
  }
  return [...gpus];
}

function inOrder(node: Node, slots: Slot[]): Slot[] {
  const place = new Map(node.gpus.map((gpu) => [gpu.uuid, gpu.index]));
  const of = (slot: Slot) => place.get(slot.gpu_uuid ?? "") ?? Number.MAX_SAFE_INTEGER;
  return [...slots].sort((a, b) => of(a) - of(b) || (a.start ?? 0) - (b.start ?? 0));
}

function titleOf(node: Node, uuid: string): string {
  if (!uuid) return "CPU";
  const gpu = node.gpus.find((one) => one.uuid === uuid);
  return gpu ? `GPU ${gpu.index}` : `GPU ${uuid}, not seen now`;
}

function modelOf(node: Node, uuid: string): string {
  const gpu = node.gpus.find((one) => one.uuid === uuid);
  return gpu ? short(gpu.model) : "";
}

/** All decisions that wait, at once. */
function Waiting({ of, slots }: { of: Node; slots: Slot[] }) {
  const open = slots.filter((slot) => slot.state === "discovered" && slot.present).length;
  if (open < 2) return null;
  return (
    <div className="row">
      <AskFirst
        word={`Approve all ${open} slots that wait`}
        title={`Offer ${open} slots of ${of.name}?`}
        act={{ path: `${at("/api/v1/admin/nodes/{node_id}/slots", { node_id: of.id })}:batch`, body: { op: "approve", all: true } }}
      >
        <p>They can be sold at once.</p>
      </AskFirst>
    </div>
  );
}

export function nameOf(slot: Slot): string {
  if (slot.kind === "mig") return `Slice ${slot.profile ?? ""} at ${slot.start ?? 0}`;
  return slot.kind === "cpu" ? `CPU share ${(slot.start ?? 0) + 1}` : "Whole GPU";
}

export function lookOf(slot: Slot): string {
  if (!slot.present) return "offline";
  return slot.holds.length > 0 && !slot.allocation_id ? "held" : slot.state;
}

function SlotTable({ node, slots, leases }: { node: Node; slots: Slot[]; leases: Map<string, Allocation> }) {
  const columns: Column<Slot>[] = [
    { head: "What", cell: (slot) => nameOf(slot) },
    { head: "On", cell: (slot) => titleOf(node, slot.gpu_uuid ?? "") },
    { head: "State", cell: (slot) => <State of={lookOf(slot)} /> },
    { head: "Held back", cell: (slot) => <span className="anywhere">{slot.holds.map((hold) => hold.reason || hold.code).join("; ") || "no"}</span> },
    { head: "In use by", cell: (slot) => <InUse of={slot} leases={leases} /> },
    { head: "Slot", cell: (slot) => <span className="nowrap"><Id of={slot.id} /></span> },
    { head: "Actions", cell: (slot) => <Decisions node={node} slot={slot} /> },
  ];
  return <Table label="Slots" rows={inOrder(node, slots)} id={(slot) => slot.id} columns={columns} />;
}

function InUse({ of, leases }: { of: Slot; leases: Map<string, Allocation> }) {
  if (!of.allocation_id) return "nobody";
  const lease = leases.get(of.allocation_id);
  return (
    <span>
      <Go to={allocationPath(of.allocation_id)}>{lease?.name ?? of.allocation_id}</Go>
      {lease?.user_name && <span className="hint"> of {lease.user_name}</span>}
    </span>
  );
}

function Decisions({ node, slot }: { node: Node; slot: Slot }) {
  const open = slot.state === "discovered" || slot.state === "rejected";
  if (slot.state === "retired") return <span className="hint">Its hardware is gone.</span>;
  return (
    <span className="row tight">
      {open && <Decide node={node} slot={slot} act="approve" word="Approve" title="Offer this slot?" text="It can be sold at once." />}
      {(slot.state === "discovered" || slot.state === "free") && (
        <Decide node={node} slot={slot} act="reject" word="Reject" danger title="Reject this slot?" text="It is not offered until it is approved." />
      )}
      {slot.holds.length > 0 && (
        <Decide
          node={node}
          slot={slot}
          act="clear"
          word="Clear hold"
          must
          title="Clear what holds it back?"
          text="It can be sold again. Be sure that its cause is gone: what the last tenant left there would be the next one's."
        />
      )}
      {slot.holds.length === 0 && !open && (
        <Decide
          node={node}
          slot={slot}
          act="quarantine"
          word="Quarantine"
          must
          danger
          title="Hold this slot back?"
          text={slot.allocation_id ? "What runs on it runs on; nothing is placed on it afterwards until it is cleared." : "Nothing is placed on it until it is cleared."}
        />
      )}
    </span>
  );
}

function Decide(props: { node: Node; slot: Slot; act: "approve" | "reject" | "quarantine" | "clear"; word: string; title: string; text: string; must?: boolean; danger?: boolean }) {
  const { node, slot, act, word, title, text, must = false, danger = false } = props;
  const [reason, setReason] = useState("");
  const path = `${at("/api/v1/admin/nodes/{node_id}/slots", { node_id: node.id })}/${slot.id}/${act}`;
  return (
    <AskFirst
      word={word}
      small
      danger={danger}
      title={title}
      ready={!must || reason.trim() !== ""}
      act={{ path, body: reason.trim() ? { reason: reason.trim() } : {} }}
      onDone={() => setReason("")}
    >
      <p>
        {nameOf(slot)} of {node.name}. {text}
      </p>
      <Field
        label={must ? "Reason" : "Reason, if there is one to keep"}
        required={must}
        maxLength={500}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        hint="Kept in the audit log."
      />
    </AskFirst>
  );
}
