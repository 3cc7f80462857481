// The first page of an operator: what is wrong, then the whole platform in a few numbers, then what was done last.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import { unlessHeld } from "../../api/live";
import type { Operation, Overview as Numbers } from "../../api/types";
import { Freshness, usePause } from "../../ui/Freshness";
import { Ago, Empty, Go, Loaded, Name, Page, State, Table, toneOf, wordOf } from "../../ui/kit";
import { ALLOCATIONS, LIFECYCLE, RUNS, USERS, runPath } from "../paths";
import { By } from "../tasks/By";
import { sayKind } from "../tasks/words";
import { Fuse } from "./Fuse";
import { Queue } from "./Queue";

const EVERY_MS = 5000;

export function Overview() {
  const pause = usePause();
  const every = pause.paused ? false : EVERY_MS;
  const numbers = useQuery({ ...oneQuery(at("/api/v1/admin/overview")), refetchInterval: every, enabled: unlessHeld(pause.paused) });
  return (
    <Page title="Overview" aside={<Freshness at={numbers.dataUpdatedAt} pause={pause} />}>
      <Fuse every={every} />
      <Queue every={every} />
      <Loaded query={numbers}>{(it) => <Figures of={it} />}</Loaded>
      <Recent every={every} />
    </Page>
  );
}

function sum(parts: Record<string, number>): number {
  return Object.values(parts).reduce((all, one) => all + one, 0);
}

function Figures({ of }: { of: Numbers }) {
  const share = (value: number | null | undefined, unit: string) => (value === null || value === undefined ? "not reported" : `${Math.round(value)} ${unit}`);
  return (
    <section className="figures" aria-label="Numbers">
      <Figure title="Nodes" to={LIFECYCLE} big={sum(of.nodes)} note={`${of.nodes_open} take new work`} parts={of.nodes} link={(state) => `${LIFECYCLE}?state=${state}`} />
      <Figure title="GPUs" to={LIFECYCLE} big={of.gpus} note={`${of.gpus_reporting} report`}>
        <ul className="legend">
          <li>
            Busy <span className="number">{share(of.gpu_busy_percent, "%")}</span>
          </li>
          <li>
            Power <span className="number">{share(of.gpu_power_watts, "W")}</span>
          </li>
        </ul>
      </Figure>
      <Figure title="Slots" to={LIFECYCLE} big={of.slots["free"] ?? 0} note={`free of ${sum(of.slots)}`} parts={of.slots} />
      <Figure title="Allocations" to={ALLOCATIONS} big={of.allocations["active"] ?? 0} note="active" parts={of.allocations} link={(state) => `${ALLOCATIONS}?state=${state}`} />
      <Figure title="Operations" to={RUNS} big={of.operations_open} note="open">
        <ul className="legend">
          <li>
            <Go to={`${RUNS}?state=failed`}>
              <span className="number">{of.operations_failed}</span> failed within a day
            </Go>
          </li>
        </ul>
      </Figure>
      <Figure title="Users" to={USERS} big={of.users} note="may sign in" />
    </section>
  );
}

function Figure({
  title,
  to,
  big,
  note,
  parts,
  link,
  children,
}: {
  title: string;
  to: string;
  big: number;
  note: string;
  parts?: Record<string, number>;
  link?: (state: string) => string;
  children?: ReactNode;
}) {
  const shown = Object.entries(parts ?? {}).filter(([, count]) => count > 0);
  return (
    <section className="card figure" aria-label={title}>
      <h3>
        <Go to={to}>{title}</Go>
      </h3>
      <p>
        <span className="big">{big.toLocaleString()}</span> <span className="hint">{note}</span>
      </p>
      {shown.length > 0 && (
        <>
          <div className="parts" aria-hidden="true">
            {shown.map(([state, count]) => (
              <span key={state} className={toneOf(state)} style={{ flexGrow: count }} />
            ))}
          </div>
          <ul className="legend">
            {shown.map(([state, count]) => (
              <li key={state}>
                {link ? <Go to={link(state)}>{wordOf(state)}</Go> : wordOf(state)} <span className="number">{count}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {children}
    </section>
  );
}

/** Newest operations shown. */
const RECENT = 6;

function Recent({ every }: { every: number | false }) {
  const list = useInfiniteQuery({ ...listQuery<Operation>(at("/api/v1/operations"), { limit: RECENT }, every), enabled: unlessHeld(every === false) });
  return (
    <section className="stack tight" aria-labelledby="recent-head">
      <h2 id="recent-head">Done last</h2>
      <Loaded query={list} lines={3}>
        {(rows) =>
          rows.length === 0 ? (
            <div className="card">
              <Empty title="Nothing was asked for yet" />
            </div>
          ) : (
            <Table
              label="Newest operations"
              rows={rows.slice(0, RECENT)}
              id={(one) => one.id}
              columns={[
                { head: "What", cell: (one) => <Go to={runPath(one.id)}><Name of={sayKind(one)} /></Go> },
                { head: "State", cell: (one) => <State of={one.outcome ?? one.state} /> },
                { head: "By", cell: (one) => <By of={one.initiator} /> },
                { head: "Asked for", cell: (one) => <Ago at={one.created_at} /> },
              ]}
            />
          )
        }
      </Loaded>
    </section>
  );
}
