// What keeps a launch from being done, each with the way to take it away.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Button, GoButton, Notice } from "../../ui/kit";
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
  const free = (list.data ?? []).filter((sku) => sku.name !== draft.sku && sku.free >= draft.count);
  if (free.length === 0) return null;
  return (
    <div className="row">
      <span>Free now:</span>
      {free.slice(0, ALTERNATIVES).map((sku) => (
        <Button key={sku.id} small onPress={() => change({ sku: sku.name })}>
          Use {sku.name}
        </Button>
      ))}
    </div>
  );
}
