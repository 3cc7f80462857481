// One operation as it goes: steps, what it was about, how it ended, and the way on.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import { pace } from "../../api/live";
import type { Accepted, Line, Operation } from "../../api/types";
import {
  Ago,
  AskFirst,
  CopyButton,
  Empty,
  Facts,
  Failed,
  Go,
  GoButton,
  Loading,
  Notice,
  Page,
  PagedTable,
  State,
  When,
  type Column,
} from "../../ui/kit";
import { Steps } from "./Steps";
import { sayKind, sayLine } from "./words";

const COLUMNS: Column<Line>[] = [
  { head: "When", cell: (row) => <When at={row.at} /> },
  { head: "What", cell: (row) => sayLine(row.kind, row.detail)[0] },
  { head: "Detail", cell: (row) => <span className="break">{sayLine(row.kind, row.detail)[1]}</span> },
];

export function Run({
  id,
  subjectTo,
  onGo,
  runTo,
  crumbs,
}: {
  id: string;
  subjectTo: (operation: Operation) => string | undefined;
  onGo: (id: string) => void;
  /** Where the canonical record stands, on the submitter's page. */
  runTo?: (id: string) => string;
  crumbs?: readonly (readonly [string, string])[];
}) {
  const path = at("/api/v1/operations/{id}", { id });
  const run = useQuery({
    ...oneQuery(path),
    refetchInterval: (query) => (query.state.data?.ended_at ? false : pace(path, 700)),
  });
  const lines = useInfiniteQuery(listQuery<Line>(at("/api/v1/operations/{id}/events", { id }), {}, run.data?.ended_at ? false : 1500));
  const place = crumbs ? { crumbs } : {};
  if (!run.data) {
    return (
      <Page title="Task" {...place}>
        {run.error ? <Failed error={run.error} retry={() => void run.refetch()} /> : <Loading />}
      </Page>
    );
  }
  const it = run.data;
  const to = subjectTo(it);
  const outcome = it.outcome ?? it.state;
  return (
    <Page title={sayKind(it)} {...place} aside={<Acts of={it} onGo={onGo} runTo={runTo} />}>
      <div className="row">
        <State of={outcome} />
        {it.cancel_requested_at && !it.ended_at && <span className="hint">Cancelling: what was done is undone where that is possible.</span>}
      </div>
      {it.stalled_since && (
        <Notice tone="warn" title="It stands still for longer than it should">
          <p>
            Since <Ago at={it.stalled_since} />.{" "}
            {it.stalled_owner?.kind === "node" ? "It waits for its node. It goes on by itself when the node answers." : "Its operators see it too."}
          </p>
        </Notice>
      )}
      {it.failure && <Notice tone="bad" title={it.failure.detail || it.failure.code} />}
      {it.ended_at && to && (
        <Notice tone={outcome === "succeeded" ? "good" : "warn"} title={outcome === "succeeded" ? "It is done." : "It has ended."}>
          <div>
            <GoButton look="primary" to={to}>
              {it.subject.kind === "allocation" ? "Go to the workload" : "Go to what it was about"}
            </GoButton>
          </div>
        </Notice>
      )}
      <div className="columns">
        <section className="card stack">
          <h2>Steps</h2>
          <Steps of={it} />
        </section>
        <section className="card stack">
          <h2>About</h2>
          <Facts
            of={[
              ["On", to ? <Go key="to" to={to}>{it.subject.id}</Go> : <code key="on" className="break">{it.subject.id}</code>],
              ["Asked for by", it.initiator.name || it.initiator.kind],
              ["Asked for", <Ago key="at" at={it.created_at} />],
              ["Ended", it.ended_at && <Ago key="ended" at={it.ended_at} />],
              ["Retry of", it.retry_of && <code key="retry" className="break">{it.retry_of}</code>],
              [
                "Reference",
                <span key="reference" className="row tight">
                  <code className="break">{it.correlation_id}</code> <CopyButton text={it.correlation_id} what="the reference" />
                </span>,
              ],
            ]}
          />
        </section>
      </div>
      <section className="stack tight">
        <h2>What happened</h2>
        <PagedTable query={lines} label="What happened" columns={COLUMNS} id={(row) => String(row.seq)} empty={<Empty title="Nothing was noted yet" />} />
      </section>
    </Page>
  );
}

function Acts({ of, onGo, runTo }: { of: Operation; onGo: (id: string) => void; runTo: ((id: string) => string) | undefined }) {
  return (
    <>
      {!of.ended_at && (
        <AskFirst<Accepted>
          word="Cancel task"
          title="Cancel this task?"
          act={{ path: `/api/v1/operations/${of.id}/cancel` }}
          blocked={of.cancel_requested_at ? "It is being cancelled." : undefined}
        >
          <p>What it has done so far is undone where that is possible.</p>
        </AskFirst>
      )}
      {(of.outcome === "failed" || of.outcome === "cancelled") && (
        <AskFirst<Accepted> word="Try again" title="Try this again?" act={{ path: `/api/v1/operations/${of.id}/retry` }} onDone={(said) => onGo(said.operation_id)}>
          <p>A new task with the same request begins.</p>
        </AskFirst>
      )}
      {runTo && <GoButton to={runTo(of.id)}>View run</GoButton>}
    </>
  );
}
