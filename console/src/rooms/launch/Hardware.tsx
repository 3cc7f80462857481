// What there is to launch on, with how much of it is free now.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Radio, RadioGroup } from "react-aria-components";
import { listQuery } from "../../api/lists";
import type { Sku } from "../../api/types";
import { Badge, Empty, Loaded, bytes } from "../../ui/kit";
import { Choice } from "../../ui/parts";

const KINDS = [
  ["", "Any kind"],
  ["gpu", "Whole GPUs"],
  ["mig", "GPU slices"],
  ["cpu", "CPU only"],
  ["node", "Whole machines"],
] as const;

export function Hardware({ chosen, onChoose }: { chosen: string; onChoose: (name: string) => void }) {
  const [kind, setKind] = useState("");
  const list = useInfiniteQuery(listQuery<Sku>("/api/v1/skus", { limit: 200 }, 5000));
  return (
    <Loaded query={list}>
      {(skus) =>
        skus.length === 0 ? (
          <Empty title="Nothing is offered yet">
            <p>Whoever runs Muster here has not made any product yet.</p>
          </Empty>
        ) : (
          <>
            <div className="filters">
              <Choice label="Kind" value={kind} onChange={setKind} options={KINDS} />
            </div>
            <RadioGroup className="cards" aria-label="Hardware" value={chosen} onChange={onChoose}>
              {skus
                .filter((sku) => !kind || sku.kind === kind)
                .map((sku) => (
                  <Card key={sku.id} sku={sku} />
                ))}
            </RadioGroup>
          </>
        )
      }
    </Loaded>
  );
}

function Card({ sku }: { sku: Sku }) {
  return (
    <Radio value={sku.name} className="choice" isDisabled={sku.free === 0}>
      <span className="row apart">
        <strong>{sku.name}</strong>
        <Badge tone={sku.free > 0 ? "good" : "quiet"}>{sku.free > 0 ? `${sku.free} of ${sku.total} free` : sku.total > 0 ? "Sold out" : "None here"}</Badge>
      </span>
      <span>{whatIs(sku)}</span>
      <span className="hint">
        {sku.cpu_milli / 1000} CPU · {bytes(sku.memory_bytes)} memory · {bytes(sku.disk_bytes)} disk
      </span>
    </Radio>
  );
}

export function whatIs(sku: Sku): string {
  if (sku.kind === "cpu") return "No GPU";
  if (sku.kind === "mig") return `A slice ${sku.profile ?? ""} of a GPU`;
  const model = (sku.gpu_model ?? "GPU").replace(/\b(nvidia|hbm\w*|sxm\d*|pcie|gb|\d+gb|[a-z]+\d+\w*)\b/gi, (word) => word.toUpperCase());
  return `${sku.gpus} × ${model}`;
}
