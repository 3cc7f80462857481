// What keeps a launch from being done, each with the way to take it away.
import { useInfiniteQuery } from "@tanstack/react-query";
import type { Sku } from "../../api/types";
import { Button, GoButton, Notice, sayPerHour } from "../../ui/kit";
import { skusQuery } from "../catalog/Catalog";
import type { Draft } from "./draft";
import { STEPS } from "./Launch";
import { stepOf, type Blocker } from "./precheck";

const SCARCE = ["sold_out", "topology_unsatisfied", "node_offline"];
const ALTERNATIVES = 3;

export function Blockers({
  of,
  draft,
  change,
  onGo,
}: {
  of: Blocker[];
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  onGo: ((step: number) => void) | undefined;
}) {
  if (of.length === 0) return null;
  return (
    <div className="stack tight">
      {of.map((one) => (
        <Notice key={one.code} tone="warn" title={one.detail}>
          <div className="row">
            {onGo && (
              <Button small onPress={() => onGo(stepOf(one))}>
                Back to {STEPS[stepOf(one)]}
              </Button>
            )}
            {one.action && one.code !== "ssh_key_missing" && (
              <GoButton small to={one.action.href}>
                {one.action.label}
              </GoButton>
            )}
            {one.owner === "operator" && <span className="hint">This is not yours to change: it passes by itself, or an operator changes it.</span>}
          </div>
          {SCARCE.includes(one.code) && <Alternatives draft={draft} change={change} />}
        </Notice>
      ))}
    </div>
  );
}

/** What is free instead. */
function Alternatives({ draft, change }: { draft: Draft; change: (part: Partial<Draft>) => void }) {
  const list = useInfiniteQuery(skusQuery);
  const all = list.data ?? [];
  const wanted = all.find((sku) => sku.name === draft.sku);
  const cost = (sku: Sku | undefined) => sku?.price_minor_per_hour ?? 0;
  // The nearest first: of the same kind and make, then by price.
  const far = (sku: Sku) => Number(sku.kind !== wanted?.kind) * 2 + Number(sku.gpu_model !== wanted?.gpu_model);
  const free = all
    .filter((sku) => sku.name !== draft.sku && sku.free >= draft.count)
    .sort((a, b) => far(a) - far(b) || Math.abs(cost(a) - cost(wanted)) - Math.abs(cost(b) - cost(wanted)));
  if (free.length === 0) return null;
  return (
    <div className="row">
      <span>Free now:</span>
      {free.slice(0, ALTERNATIVES).map((sku) => (
        <Button key={sku.id} small onPress={() => change({ sku: sku.name })}>
          Use {sku.name}
          {sku.price_minor_per_hour != null && `, ${sayPerHour(sku.price_minor_per_hour, sku.currency)}`}
        </Button>
      ))}
    </div>
  );
}
