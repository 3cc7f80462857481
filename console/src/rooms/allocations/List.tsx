// All allocations of all people, by filters that stand in the address; one of them in full, and the way to end it
// by force.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import { unlessHeld } from "../../api/live";
import type { Allocation } from "../../api/types";
import { Freshness, usePause } from "../../ui/Freshness";
import { Ago, Choice, type Column, Empty, FilteredEmpty, Go, Name, Page, PagedTable, Search, State } from "../../ui/kit";
import { nodePath, userPath } from "../paths";
import { Drawer } from "./Drawer";

const STATES = [
  ["", "Any state"],
  ["active", "Active"],
  ["degraded", "Degraded"],
  ["requested", "Requested"],
  ["provisioning", "Provisioning"],
  ["releasing", "Releasing"],
  ["release_failed", "Release failed"],
  ["released", "Released"],
  ["failed", "Failed"],
] as const;

export interface Filters {
  q?: string;
  state?: string;
  node_id?: string;
  user_id?: string;
  sort?: string;
  open?: string;
}

const PAGE = 100;

export function Allocations({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const pause = usePause();
  const { sort, open, ...narrow } = filters;
  const list = useInfiniteQuery({ ...listQuery<Allocation>(at("/api/v1/admin/allocations"), { limit: PAGE, ...narrow }, 4000), enabled: unlessHeld(pause.paused) });
  const set = (name: keyof Filters) => (value: string) => {
    const { [name]: _, ...others } = filters;
    onFilters(value ? { ...others, [name]: value.trim() } : others);
  };
  const show = set("open");
  const columns: Column<Allocation>[] = [
    {
      head: "Name",
      sort: (one) => one.name,
      cell: (one) => (
        <button type="button" className="linklike" onClick={() => show(one.id)}>
          <Name of={one.name} />
        </button>
      ),
    },
    { head: "State", sort: (one) => one.display_status, cell: (one) => <State of={one.display_status} /> },
    { head: "Hardware", sort: (one) => one.sku, cell: (one) => <Name of={one.sku} /> },
    { head: "User", sort: (one) => one.user_name, cell: (one) => <Go to={userPath(one.user_id)}><Name of={one.user_name ?? one.user_id} /></Go> },
    {
      head: "Node",
      sort: (one) => one.node_name,
      cell: (one) => (
        <Go to={nodePath(one.node_id)}>
          <Name of={one.node_name ?? one.node_id} />
        </Go>
      ),
    },
    { head: "Created", sort: (one) => one.created_at, cell: (one) => <Ago at={one.created_at} /> },
  ];
  const filtered = Boolean(narrow.q || narrow.state || narrow.node_id || narrow.user_id);
  return (
    <Page title="Allocations" aside={<Freshness at={list.dataUpdatedAt} pause={pause} />}>
      <div className="filters">
        <Search label="Name, id or hardware" value={filters.q ?? ""} onChange={set("q")} />
        <Choice label="State" value={filters.state ?? ""} onChange={set("state")} options={STATES} />
        <Search label="Node id" value={filters.node_id ?? ""} onChange={set("node_id")} />
        <Search label="User id" value={filters.user_id ?? ""} onChange={set("user_id")} />
      </div>
      <PagedTable
        query={list}
        label="Allocations"
        columns={columns}
        id={(one) => one.id}
        sort={sort}
        onSort={set("sort")}
        empty={
          filtered ? (
            <FilteredEmpty what="allocation" onClear={() => onFilters({})} />
          ) : (
            <Empty title="Nothing was launched yet">
              <p>What users launch stands here with its node and its owner.</p>
            </Empty>
          )
        }
      />
      {open && <Drawer key={open} id={open} onClose={() => show("")} />}
    </Page>
  );
}
