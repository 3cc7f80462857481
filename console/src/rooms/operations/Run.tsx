// The one record of an operation: how it went, what it was about, what it was asked with, and where to go on.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import type { Accepted, Line, Operation } from "../../api/types";
import { Freshness, usePause } from "../../ui/Freshness";
import { AskFirst, type Column, CopyButton, Empty, Facts, Failed, Go, Loading, Notice, Page, PagedTable, State, When, useGo } from "../../ui/kit";
import { RUNS, runPath } from "../paths";
import { Steps, took } from "../tasks/Steps";

const CRUMBS = [[RUNS, "Operations"]] as const;
/** How often a run that goes on is asked for. */
const LIVE_MS = 700;

export interface Way {
  word: string;
  to: string;
}

/** `waysOf` names the pages of this door that the run is about. */
export function Run({ id, waysOf }: { id: string; waysOf: (run: Operation) => Way[] }) {
  const pause = usePause();
  const run = useQuery({
    ...oneQuery<Operation>(at("/api/v1/operations/{id}", { id })),
    refetchInterval: (query) => (pause.paused || query.state.data?.ended_at ? false : LIVE_MS),
  });
  const live = !pause.paused && !run.data?.ended_at;
  if (!run.data) {
    return (
      <Page title="Run" crumbs={CRUMBS}>
        {run.error ? <Failed error={run.error} retry={() => void run.refetch()} /> : <Loading />}
      </Page>
    );
  }
  const it = run.data;
  return (
    <Page title={`Run: ${it.kind}`} crumbs={CRUMBS} aside={it.ended_at ? <Acts of={it} /> : <><Freshness at={run.dataUpdatedAt} pause={pause} /><Acts of={it} /></>}>
      {run.error && <Failed error={run.error} />}
      <div className="row" role="status">
        <State of={it.outcome ?? it.state} />
        {it.cancel_requested_at && !it.ended_at && <span className="hint">Cancelling.</span>}
      </div>
      {it.failure && (
        <Notice tone={it.outcome === "partial" ? "warn" : "bad"} title={it.failure.detail || it.failure.code}>
          <p className="hint">
            Reference <code>{it.correlation_id}</code> <CopyButton text={it.correlation_id} what="the reference" />
          </p>
        </Notice>
      )}
      <section className="card stack" aria-labelledby="steps-head">
        <h2 id="steps-head">Steps</h2>
        <Steps of={it} />
      </section>
      <Summary of={it} />
      <Scope of={it} ways={waysOf(it)} />
      <Timeline of={it.id} every={live ? 1500 : false} />
    </Page>
  );
}

function Summary({ of }: { of: Operation }) {
  return (
    <section className="card stack" aria-labelledby="summary-head">
      <h2 id="summary-head">Summary</h2>
      <Facts
        of={[
          ["Asked for by", `${of.initiator.name || of.initiator.kind} (${of.initiator.kind})`],
          ["Asked for", <When key="created" at={of.created_at} />],
          ["Began", of.started_at && <When key="started" at={of.started_at} />],
          ["Ended", of.ended_at && <When key="ended" at={of.ended_at} />],
          ["Took", took(of.started_at, of.ended_at)],
          ["Retry of", of.retry_of && <Go key="retry" to={runPath(of.retry_of)}>View run</Go>],
          ["Reference", <span key="reference"><code className="break">{of.correlation_id}</code> <CopyButton text={of.correlation_id} what="the reference" /></span>],
          ["Id", <span key="id"><code className="break">{of.id}</code> <CopyButton text={of.id} what="the id" /></span>],
        ]}
      />
    </section>
  );
}

function Scope({ of, ways }: { of: Operation; ways: Way[] }) {
  const context = of.context as Record<string, unknown> | null;
  const known = context && Object.keys(context).length > 0;
  return (
    <section className="card stack" aria-labelledby="scope-head">
      <h2 id="scope-head">Target scope</h2>
      {of.subject.id ? (
        <Facts of={[[of.subject.kind || "Target", <code key="subject" className="break">{of.subject.id}</code>], ["Project", of.project_id && <code key="project">{of.project_id}</code>]]} />
      ) : (
        <p>No target scope details were recorded for this run.</p>
      )}
      {ways.length > 0 && (
        <nav aria-label="Open" className="row">
          <span className="hint">Open</span>
          {ways.map((way) => (
            <Go key={way.to} to={way.to}>
              {way.word}
            </Go>
          ))}
        </nav>
      )}
      {known && (
        <details>
          <summary>Asked with, secrets taken out</summary>
          <pre className="break">{JSON.stringify(context, null, 2)}</pre>
        </details>
      )}
    </section>
  );
}

const LINES: Column<Line>[] = [
  { head: "When", cell: (row) => <When at={row.at} /> },
  { head: "What", cell: (row) => row.kind },
  { head: "Detail", cell: (row) => <span className="anywhere">{row.detail}</span> },
];

function Timeline({ of, every }: { of: string; every: number | false }) {
  const lines = useInfiniteQuery(listQuery<Line>(at("/api/v1/operations/{id}/events", { id: of }), { limit: 100 }, every));
  return (
    <section className="stack tight" aria-labelledby="timeline-head">
      <h2 id="timeline-head">What happened</h2>
      <PagedTable query={lines} label="Timeline" columns={LINES} id={(row) => String(row.seq)} empty={<Empty title="Nothing was noted" />} />
    </section>
  );
}

function Acts({ of }: { of: Operation }) {
  const go = useGo();
  const path = at("/api/v1/operations/{id}", { id: of.id });
  if (!of.ended_at) {
    return (
      <AskFirst<Accepted> word="Cancel run" title="Cancel this run?" act={{ path: `${path}/cancel` }} blocked={of.cancel_requested_at ? "It is being cancelled." : undefined}>
        <p>What it has done so far is undone where that is possible.</p>
      </AskFirst>
    );
  }
  if (of.outcome !== "failed" && of.outcome !== "cancelled") return null;
  return (
    <AskFirst<Accepted> word="Try again" title="Try this again?" act={{ path: `${path}/retry` }} onDone={(said) => go(runPath(said.operation_id))}>
      <p>A new run with the same request begins, and names this one.</p>
    </AskFirst>
  );
}
