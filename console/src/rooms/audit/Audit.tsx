// Who did what, newest first, by filters that stand in the address; one event in full; the whole as a file; and
// whether the chain holds.
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { at } from "../../api/at";
import { ask } from "../../api/http";
import { listQuery, pathOf } from "../../api/lists";
import { unlessHeld } from "../../api/live";
import { meQuery } from "../../api/me";
import type { AuditEvent, Chain } from "../../api/types";
import { Freshness, usePause } from "../../ui/Freshness";
import { Button, Choice, type Column, Empty, Failed, FilteredEmpty, Id, Name, Notice, Page, PagedTable, Search, State, When } from "../../ui/kit";
import { Drawer } from "./Drawer";
import type { Filters } from "./filters";
import "./audit.css";

const OUTCOMES = [
  ["", "Any outcome"],
  ["success", "Success"],
  ["refused", "Refused"],
  ["failed", "Failed"],
] as const;

export function Audit({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const pause = usePause();
  const { event, ...narrow } = filters;
  const list = useInfiniteQuery({ ...listQuery<AuditEvent>(at("/api/v1/admin/audit-logs"), { limit: 100, ...narrow }, 5000), enabled: unlessHeld(pause.paused) });
  const opener = useRef<HTMLElement>(null);
  const set = (name: keyof Filters) => (value: string) => {
    const { [name]: _, ...others } = filters;
    onFilters(value ? { ...others, [name]: value.trim() } : others);
  };
  const open = (id: string) => {
    opener.current = document.activeElement as HTMLElement | null;
    set("event")(id);
  };
  const close = () => {
    set("event")("");
    requestAnimationFrame(() => opener.current?.focus());
  };
  const filtered = Object.keys(narrow).length > 0;
  return (
    <Page title="Audit log" aside={<Freshness at={list.dataUpdatedAt} pause={pause} />}>
      <Evidence narrow={narrow} />
      <div className="filters">
        <Search label="Any text" value={filters.q ?? ""} onChange={set("q")} />
        <Search label="Who: id or name" value={filters.actor ?? ""} onChange={set("actor")} />
        <Search label="Action, such as nodes." value={filters.action ?? ""} onChange={set("action")} />
        <Search label="Target id" value={filters.target ?? ""} onChange={set("target")} />
        <Choice label="Outcome" value={filters.outcome ?? ""} onChange={set("outcome")} options={OUTCOMES} />
        <Moment label="From" value={filters.from} onChange={set("from")} />
        <Moment label="Until" value={filters.to} onChange={set("to")} />
      </div>
      {filters.correlation_id && (
        <p className="row">
          Only the request <code className="break">{filters.correlation_id}</code>
          <Button small onPress={() => set("correlation_id")("")}>
            Show all requests
          </Button>
        </p>
      )}
      <PagedTable
        query={list}
        label="Audit log"
        columns={columnsOf(open)}
        id={(one) => one.id}
        empty={filtered ? <FilteredEmpty what="event" onClear={() => onFilters({})} /> : <Empty title="Nothing has happened yet" />}
      />
      {event && <Drawer key={event} id={event} onClose={close} />}
    </Page>
  );
}

function columnsOf(open: (id: string) => void): Column<AuditEvent>[] {
  return [
    { head: "When", cell: (one) => <When at={one.at} /> },
    { head: "Who", cell: (one) => <Actor of={one.actor} /> },
    {
      head: "Did",
      cell: (one) => (
        <button type="button" className="linklike" aria-haspopup="dialog" onClick={() => open(one.id)}>
          {one.action}
        </button>
      ),
    },
    { head: "To", cell: (one) => <code className="clip" title={one.target}>{one.target}</code> },
    { head: "Outcome", cell: (one) => <State of={one.outcome} /> },
    { head: "Because", cell: (one) => <span className="clip" title={one.reason ?? ""}>{one.reason ?? "not said"}</span> },
  ];
}

/** A node's name is its id: it is shown in short. */
function Actor({ of }: { of: AuditEvent["actor"] }) {
  if (of.kind === "node") return <>Node <Id of={of.id} /></>;
  return <Name of={of.name || of.kind} />;
}

/** A local moment for the eye, UTC in the address. */
function Moment({ label, value, onChange }: { label: string; value: string | undefined; onChange: (value: string) => void }) {
  const id = `moment-${label}`;
  const local = value ? localOf(new Date(value)) : "";
  return (
    <div className="field moment">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="datetime-local"
        value={local}
        onChange={(event) => onChange(event.target.value ? new Date(event.target.value).toISOString().replace(/\.\d+Z$/, "Z") : "")}
      />
    </div>
  );
}

function localOf(time: Date): string {
  if (Number.isNaN(time.getTime())) return "";
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function Evidence({ narrow }: { narrow: Filters }) {
  const me = useQuery(meQuery);
  const verify = useMutation({ mutationFn: () => ask<Chain>(at("/api/v1/admin/audit-logs/verify")) });
  const may = (verb: string) => me.data?.capabilities.includes(verb) ?? false;
  const file = (format: string) => pathOf(at("/api/v1/admin/audit-logs/export"), { format, ...narrow });
  return (
    <div className="stack tight">
      <div className="row">
        <Button small blocked={may("audit.verify") ? undefined : "Your role does not verify the chain."} isPending={verify.isPending} onPress={() => verify.mutate()}>
          Verify the chain
        </Button>
        {may("audit.export") ? (
          <>
            <a className="button small" download href={file("csv")}>
              Export as CSV
            </a>
            <a className="button small" download href={file("jsonl")}>
              Export as JSON lines
            </a>
            <span className="hint">What the filters show, in full. The export is noted here too.</span>
          </>
        ) : (
          <span className="hint">Your role does not export events.</span>
        )}
      </div>
      {verify.error && <Failed error={verify.error} retry={() => verify.mutate()} />}
      {verify.data && (
        <Notice
          tone={verify.data.ok ? "good" : "bad"}
          title={verify.data.ok ? `The chain holds: ${verify.data.checked} events checked.` : `The chain is broken at ${verify.data.broken_at}.`}
        >
          {verify.data.ok ? (
            <p className="hint">
              Its head is <code className="break">{verify.data.head}</code>. Keep it elsewhere to notice a log that was cut short.
            </p>
          ) : (
            <p>An event was changed or taken out of the database. Keep a copy of it as it is, and compare with the last backup.</p>
          )}
        </Notice>
      )}
    </div>
  );
}
