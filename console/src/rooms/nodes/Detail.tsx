// One node: how it is, what can be done with it now and why not, and everything that is known of it.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { Node } from "../../api/types";
import { Ago, Failed, Loading, Notice, Page, State, TabsAt } from "../../ui/kit";
import { LIFECYCLE } from "../paths";
import { Activity } from "./Activity";
import { Facets } from "./Facets";
import { NodeMetrics } from "./Metrics";
import { Panel } from "./Panel";
import { Slices } from "./Slices";
import { Tasks } from "./Tasks";
import "./nodes.css";

const EVERY_MS = 3000;
const CRUMBS = [[LIFECYCLE, "Lifecycle"]] as const;

export function NodePage({ id, tab, onTab }: { id: string; tab: string | undefined; onTab: (tab: string) => void }) {
  // What is measured changes without an event.
  const one = useQuery({ ...oneQuery<Node>(at("/api/v1/admin/nodes/{node_id}", { node_id: id })), refetchInterval: EVERY_MS });
  if (!one.data) {
    return (
      <Page title="Node" crumbs={CRUMBS}>
        {one.error ? <Failed error={one.error} retry={() => void one.refetch()} /> : <Loading />}
      </Page>
    );
  }
  const it = one.data;
  return (
    <Page title={it.name} crumbs={CRUMBS}>
      {one.error && <Failed error={one.error} />}
      <div className="row" role="status">
        <State of={it.state} />
        {it.presence !== it.state && <State of={it.presence} />}
        {it.health !== "ok" && it.health !== it.state && <State of={it.health} />}
        <span className="hint">
          seen <Ago at={it.last_seen_at} />
        </span>
      </div>
      {it.health_reason && <Notice tone={it.health === "quarantined" ? "bad" : "warn"} title={it.health_reason} />}
      {it.gpu_detail && <Notice tone="warn" title={it.gpu_detail} />}
      <Panel of={it} onTab={onTab} />
      <TabsAt
        label="Parts of this node"
        at={tab}
        onChange={onTab}
        tabs={[
          ["overview", "Overview", () => <Facets of={it} />],
          ["slices", "Slices", () => <Slices of={it} />],
          ["metrics", "Metrics", () => <NodeMetrics of={it} />],
          ["tasks", "Tasks", () => <Tasks node={it.id} />],
          ["activity", "Activity", () => <Activity node={it.id} />],
        ]}
      />
    </Page>
  );
}
