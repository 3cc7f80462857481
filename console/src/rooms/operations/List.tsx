// Every operation there is, newest first, by filters that stand in the address.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import { unlessHeld } from "../../api/live";
import type { Operation } from "../../api/types";
import { Freshness, usePause } from "../../ui/Freshness";
import { Ago, Choice, type Column, Empty, FilteredEmpty, Go, Id, Name, Page, PagedTable, Search, State } from "../../ui/kit";
import { runPath } from "../paths";
import { By } from "../tasks/By";
import { took } from "../tasks/Steps";
import { sayKind } from "../tasks/words";

const STATES = [
  ["", "Any state"],
  ["queued", "Queued"],
  ["running", "Running"],
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"],
] as const;

const COLUMNS: Column<Operation>[] = [
  { head: "What", sort: (one) => one.kind, cell: (one) => <Go to={runPath(one.id)}><Name of={sayKind(one)} title={`${sayKind(one)} (${one.kind})`} /></Go> },
  { head: "State", sort: (one) => one.outcome ?? one.state, cell: (one) => <State of={one.stalled_since ? "stalled" : (one.outcome ?? one.state)} /> },
  { head: "On", cell: (one) => (one.subject.id ? <Id of={one.subject.id} /> : "nothing recorded") },
  { head: "By", sort: (one) => one.initiator.name, cell: (one) => <By of={one.initiator} /> },
  { head: "Took", number: true, cell: (one) => <span className="nowrap">{took(one.started_at, one.ended_at) || "not begun"}</span> },
  { head: "Asked for", sort: (one) => one.created_at, cell: (one) => <Ago at={one.created_at} /> },
];

export interface Filters {
  state?: string;
  kind?: string;
  subject?: string;
  sort?: string;
}

export function Operations({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const pause = usePause();
  const { sort, ...narrow } = filters;
  const list = useInfiniteQuery({ ...listQuery<Operation>(at("/api/v1/operations"), { limit: 100, ...narrow }, 4000), enabled: unlessHeld(pause.paused) });
  const set = (name: keyof Filters) => (value: string) => {
    const { [name]: _, ...others } = filters;
    onFilters(value ? { ...others, [name]: value.trim() } : others);
  };
  return (
    <Page title="Operations" aside={<Freshness at={list.dataUpdatedAt} pause={pause} />}>
      <div className="filters">
        <Choice label="State" value={filters.state ?? ""} onChange={set("state")} options={STATES} />
        <Search label="Kind, such as nodes.probe" value={filters.kind ?? ""} onChange={set("kind")} />
        <Search label="Id of what it is about" value={filters.subject ?? ""} onChange={set("subject")} />
      </div>
      <PagedTable
        query={list}
        label="Operations"
        columns={COLUMNS}
        id={(one) => one.id}
        sort={sort}
        onSort={set("sort")}
        empty={
          narrow.state || narrow.kind || narrow.subject ? (
            <FilteredEmpty what="operation" onClear={() => onFilters({})} />
          ) : (
            <Empty title="Nothing was asked for yet">
              <p>Whatever takes time stands here with its steps: launches, releases, probes.</p>
            </Empty>
          )
        }
      />
    </Page>
  );
}
