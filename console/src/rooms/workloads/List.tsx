// All workloads of the tenant: views with counts, filters in the address, and where a row went that moved.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import type { Allocation, WorkloadPage } from "../../api/types";
import { Ago, Choice, Empty, FilteredEmpty, Go, GoButton, Name, Page, PagedTable, Search, State, say, type Column } from "../../ui/kit";
import { ManyLost } from "./ManyLost";
import { NextStep } from "./NextStep";
import { ROUTE, VIEWS, viewOf, type Filters } from "./views";
import { whyOf } from "./why";

const NAME: Column<Allocation> = { head: "Name", cell: (one) => <Go to={`/workloads/${one.id}`}><Name of={one.name} /></Go>, sort: (one) => one.name };
const HARDWARE: Column<Allocation> = { head: "Hardware", cell: (one) => <Name of={one.sku} />, sort: (one) => one.sku };
// With the reason beside it the state says no code of its own.
const STATE: Column<Allocation> = { head: "State", cell: (one) => <State of={one.display_status} />, sort: (one) => one.display_status };
const COLUMNS: Column<Allocation>[] = [
  NAME,
  {
    ...STATE,
    cell: (one) => (
      <>
        <State of={one.display_status} /> {Boolean(one.exit_code) && <span className="hint nowrap">exit code {one.exit_code}</span>}
      </>
    ),
  },
  HARDWARE,
  {
    head: "Runs",
    cell: (one) => (one.command?.length ? <code className="clip" title={one.command.join(" ")}>{one.command.join(" ")}</code> : "Interactive"),
  },
  { head: "Created", cell: (one) => <Ago at={one.created_at} />, sort: (one) => one.created_at },
];
const WHY: Column<Allocation> = {
  head: "Why",
  cell: (one) => <span className="break">{whyOf(one)}</span>,
};
const ACT: Column<Allocation> = { head: "Next step", cell: (one) => <NextStep of={one} /> };

const PAGE = 100;

export function Workloads({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const view = viewOf(filters);
  const asked = { limit: PAGE, view, q: filters.q, label: filters.label, project_id: filters.project };
  const list = useInfiniteQuery(listQuery<Allocation>(ROUTE, asked, 3000));
  // The counts of all views come with any page of the list.
  const counts = useQuery(oneQuery(at("/api/v1/workloads", undefined, { limit: 1, view, project_id: filters.project }), 3000));
  const projects = useInfiniteQuery(listQuery(at("/api/v1/projects"), { limit: 200 }));
  useMoved(list.data, view, Boolean(filters.q || filters.label) || list.hasNextPage);
  const change = (part: Filters) => onFilters({ ...filters, ...part });
  const columns = view === "attention" ? [NAME, STATE, HARDWARE, WHY, ACT] : COLUMNS;
  return (
    <Page
      title="Workloads"
      aside={
        <GoButton look="primary" to="/launch/compute">
          Launch a workload
        </GoButton>
      }
    >
      <ManyLost at={counts.data?.many_lost_at} />
      <Views at={view} counts={counts.data?.counts} onChoose={(next) => change({ view: next === "active" ? undefined : next })} />
      <div className="filters">
        <Search label="Name or id" value={filters.q ?? ""} onChange={(q) => change({ q: q || undefined })} />
        <Search label="Label, such as team=vision" value={filters.label ?? ""} onChange={(label) => change({ label: label || undefined })} />
        {(projects.data?.length ?? 0) > 1 && (
          <Choice
            label="Project"
            value={filters.project ?? ""}
            onChange={(project) => change({ project: project || undefined })}
            options={[["", "All projects"], ...(projects.data ?? []).map((one) => [one.id, one.name] as const)]}
          />
        )}
      </div>
      <PagedTable
        query={list}
        label="Workloads"
        columns={columns}
        id={(one) => one.id}
        sort={filters.sort}
        onSort={(sort) => change({ sort: sort || undefined })}
        empty={<Nothing view={view} filters={filters} all={counts.data?.counts.all ?? 0} onClear={() => onFilters({ view: filters.view })} />}
      />
    </Page>
  );
}

function Views({ at: chosen, counts, onChoose }: { at: string; counts: WorkloadPage["counts"] | undefined; onChoose: (view: string) => void }) {
  return (
    <div className="views" role="group" aria-label="Views">
      {VIEWS.map(([view, word]) => (
        <button key={view} type="button" className="view" aria-pressed={view === chosen} onClick={() => onChoose(view)}>
          {word}
          <span className="number">{counts?.[view] ?? "–"}</span>
        </button>
      ))}
    </div>
  );
}

function Nothing({ view, filters, all, onClear }: { view: string; filters: Filters; all: number; onClear: () => void }) {
  if (filters.q || filters.label || filters.project) return <FilteredEmpty what="workload" onClear={onClear} />;
  if (view === "attention") return <Empty title="All good: nothing needs attention" />;
  if (all > 0) {
    return (
      <Empty title={view === "history" ? "Nothing has ended yet" : "Nothing runs now"}>
        {view === "active" && <Go to="/workloads?view=history">See what ran before</Go>}
        <GoButton look="primary" to="/launch/compute">
          Launch a workload
        </GoButton>
      </Empty>
    );
  }
  return (
    <Empty title="Nothing was launched yet">
      <p>A workload is a shell, or a command, on one machine with the GPUs you choose.</p>
      <GoButton look="primary" to="/launch/compute">
        Launch the first one
      </GoButton>
    </Empty>
  );
}

/** A row that leaves the view because its state changed is not lost: a note says where it is. */
function useMoved(rows: Allocation[] | undefined, view: string, partial: boolean): void {
  const before = useRef<{ view: string; rows: Map<string, string> }>(undefined);
  useEffect(() => {
    if (!rows) return;
    const now = new Map(rows.map((one) => [one.id, one.name]));
    const last = before.current;
    before.current = { view, rows: now };
    if (!last || last.view !== view || partial || view === "all") return;
    for (const [id, name] of last.rows) {
      if (!now.has(id)) say(`${name} has moved out of this view.`, { to: `/workloads/${id}`, word: "Open it" });
    }
  }, [rows, view, partial]);
}
