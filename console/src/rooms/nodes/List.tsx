// The lifecycle workbench: what needs an operator first, then every node with its numbers as they are now.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import { unlessHeld } from "../../api/live";
import type { Node } from "../../api/types";
import { Freshness, usePause } from "../../ui/Freshness";
import { Ago, Choice, type Column, Empty, Family, FilteredEmpty, Go, GoButton, Name, Page, PagedTable, Search, State } from "../../ui/kit";
import { Fuse } from "../overview/Fuse";
import { Queue } from "../overview/Queue";
import { LIFECYCLE, TOKENS, nodePath } from "../paths";
import { busy, memory, models } from "./words";
import "./nodes.css";

export const FAMILY = [
  [LIFECYCLE, "Nodes"],
  [TOKENS, "Bootstrap tokens"],
] as const;

const STATES = [
  ["", "Any state"],
  ["active", "Active"],
  ["pending_approval", "Pending approval"],
  ["enrolling", "Enrolling"],
  ["offline", "Offline"],
  ["stale", "Stale"],
  ["quarantined", "Quarantined"],
  ["cordoned", "Cordoned"],
  ["draining", "Draining"],
  ["maintenance", "Maintenance"],
  ["removed", "Removed"],
] as const;

const EVERY_MS = 4000;
const PAGE = 100;

const COLUMNS: Column<Node>[] = [
  {
    head: "Node",
    sort: (one) => one.name,
    cell: (one) => (
      <Go to={nodePath(one.id)}>
        <Name of={one.name} />
      </Go>
    ),
  },
  { head: "State", sort: (one) => one.state, cell: (one) => <State of={one.state} /> },
  { head: "GPUs", sort: (one) => models(one.gpus), cell: (one) => models(one.gpus) },
  { head: "Busy", sort: (one) => busy(one.gpus), cell: (one) => <Busy of={one} /> },
  { head: "GPU memory", cell: (one) => memory(one.gpus) },
  { head: "Agent", sort: (one) => one.agent_version, cell: (one) => one.agent_version ?? "none yet" },
  { head: "Seen", sort: (one) => one.last_seen_at, cell: (one) => <Ago at={one.last_seen_at} /> },
];

function Busy({ of }: { of: Node }) {
  if (of.gpus.length === 0) return "no GPU";
  const share = busy(of.gpus);
  if (share === null) return <span className="hint">not reported</span>;
  return (
    <span className="busy-cell">
      <span className="number">{share} %</span>
      <span className="meter" aria-hidden="true">
        <span style={{ width: `${share}%` }} />
      </span>
    </span>
  );
}

export interface Filters {
  q?: string;
  state?: string;
  sort?: string;
}

export function Nodes({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const pause = usePause();
  const every = pause.paused ? false : EVERY_MS;
  const { sort, ...narrow } = filters;
  // What is measured changes without an event.
  const list = useInfiniteQuery({
    ...listQuery<Node>(at("/api/v1/admin/nodes"), { limit: PAGE, ...narrow }),
    refetchInterval: every,
    enabled: unlessHeld(pause.paused),
  });
  const set = (name: keyof Filters) => (value: string) => {
    const { [name]: _, ...others } = filters;
    onFilters(value ? { ...others, [name]: value } : others);
  };
  return (
    <Page
      title="Lifecycle"
      aside={
        <>
          <Freshness at={list.dataUpdatedAt} pause={pause} />
          <GoButton look="primary" to={TOKENS}>
            Add a node
          </GoButton>
        </>
      }
    >
      <Family label="Lifecycle" links={FAMILY} />
      <Fuse every={every} />
      <Queue family="lifecycle" every={every} />
      <section className="stack" aria-labelledby="nodes-head">
        <h2 id="nodes-head">All nodes</h2>
        <div className="filters">
          <Search label="Name or id" value={filters.q ?? ""} onChange={set("q")} />
          <Choice label="State" value={filters.state ?? ""} onChange={set("state")} options={STATES} />
        </div>
        <PagedTable
          query={list}
          label="Nodes"
          columns={COLUMNS}
          id={(one) => one.id}
          sort={sort}
          onSort={set("sort")}
          empty={
            narrow.q || narrow.state ? (
              <FilteredEmpty what="node" onClear={() => onFilters({})} />
            ) : (
              <Empty title="No node yet">
                <p>A node is a machine that runs the agent. A bootstrap token lets it in.</p>
                <GoButton look="primary" to={TOKENS}>
                  Make a token
                </GoButton>
              </Empty>
            )
          }
        />
      </section>
    </Page>
  );
}
