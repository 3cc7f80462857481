// The fleet: what needs a person first, then every node with its numbers as they are now.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { listQuery } from "../../api/lists";
import type { Gpu, Node } from "../../api/types";
import { Ago, Button, bytes, type Column, Empty, Notice, Page, PagedTable, State } from "../../ui/kit";

function mean(gpus: Gpu[]): string {
  const known = gpus.map((gpu) => gpu.utilization_percent).filter((value) => typeof value === "number");
  if (gpus.length === 0) return "no GPU";
  if (known.length === 0) return "not reported";
  return `${Math.round(known.reduce((sum, value) => sum + value, 0) / known.length)} %`;
}

function memory(gpus: Gpu[]): string {
  if (gpus.length === 0) return "no GPU";
  const sum = (values: (number | null | undefined)[]) => values.reduce<number>((all, value) => all + (value ?? 0), 0);
  return `${bytes(sum(gpus.map((gpu) => gpu.memory_used_bytes)))} of ${bytes(sum(gpus.map((gpu) => gpu.memory_total_bytes)))}`;
}

export function models(gpus: Gpu[]): string {
  const counts = new Map<string, number>();
  for (const gpu of gpus) counts.set(gpu.model, (counts.get(gpu.model) ?? 0) + 1);
  return [...counts].map(([model, count]) => `${count} × ${model.replace(/^NVIDIA /, "")}`).join(", ") || "none";
}

const COLUMNS: Column<Node>[] = [
  {
    head: "Node",
    cell: (one) => (
      <Link to={"/nodes/$id" as string} params={{ id: one.id } as never}>
        {one.name}
      </Link>
    ),
  },
  { head: "State", cell: (one) => <State of={one.state} /> },
  { head: "Presence", cell: (one) => <State of={one.presence} /> },
  { head: "GPUs", cell: (one) => models(one.gpus) },
  { head: "Busy", number: true, cell: (one) => mean(one.gpus) },
  { head: "GPU memory", number: true, cell: (one) => memory(one.gpus) },
  { head: "Seen", cell: (one) => <Ago at={one.last_seen_at} /> },
];

export function Nodes() {
  const [paused, setPaused] = useState(false);
  const list = useInfiniteQuery(listQuery<Node>("/api/v1/admin/nodes", { limit: 200 }, paused ? false : 3000));
  const waiting = list.data?.filter((one) => one.state !== "active") ?? [];
  return (
    <Page
      title="Nodes"
      aside={
        <>
          <span className="hint">
            {paused ? "Paused, as of " : "Updated "}
            {list.dataUpdatedAt ? new Date(list.dataUpdatedAt).toLocaleTimeString() : "…"}
          </span>
          <Button small onPress={() => setPaused(!paused)}>
            {paused ? "Go on" : "Pause"}
          </Button>
          <Link className="button primary" to={"/bootstrap-tokens" as string}>
            Add a node
          </Link>
        </>
      }
    >
      {waiting.length > 0 && (
        <Notice tone="warn" title={waiting.length === 1 ? "One node needs a look" : `${waiting.length} nodes need a look`}>
          <ul>
            {waiting.map((one) => (
              <li key={one.id}>
                <Link to={"/nodes/$id" as string} params={{ id: one.id } as never}>
                  {one.name}
                </Link>{" "}
                <State of={one.state} /> {one.health_reason}
              </li>
            ))}
          </ul>
        </Notice>
      )}
      <PagedTable
        query={list}
        label="Nodes"
        columns={COLUMNS}
        id={(one) => one.id}
        empty={
          <Empty title="No node yet">
            <p>A node is a machine that runs the agent. A bootstrap token lets it in.</p>
            <Link className="button primary" to={"/bootstrap-tokens" as string}>
              Make a token
            </Link>
          </Empty>
        }
      />
    </Page>
  );
}
