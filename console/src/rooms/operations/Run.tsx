// The one record of an operation: how it went, what it was about, what it was asked with, and where to go on.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import type { Accepted, Line, Operation } from "../../api/types";
import { Freshness, usePause } from "../../ui/Freshness";
import { Ago, AskFirst, type Column, CopyButton, Empty, Facts, Failed, Field, Go, Loading, Notice, Page, PagedTable, State, When, useGo } from "../../ui/kit";
import { RUNS, runPath } from "../paths";
import { Steps, took } from "../tasks/Steps";
import { sayKind, sayLine } from "../tasks/words";

const CRUMBS = [[RUNS, "Operations"]] as const;
/** How often a run that goes on is asked for. */
const LIVE_MS = 700;

export function Run({ id }: { id: string }) {
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
    <Page
      title={`Run: ${sayKind(it)}`}
      crumbs={CRUMBS}
      aside={
        <>
          {!it.ended_at && <Freshness at={run.dataUpdatedAt} pause={pause} />}
          <Acts of={it} />
        </>
      }
    >
      {run.error && <Failed error={run.error} />}
      <div className="row" role="status">
        <State of={it.outcome ?? it.state} />
        {it.cancel_requested_at && !it.ended_at && <span className="hint">Cancelling.</span>}
      </div>
      {it.stalled_since && <Stalled of={it} />}
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
      <Scope of={it} />
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
          ["Attempt", of.attempt > 1 ? of.attempt : null],
          ["Gives up by itself", !of.ended_at && of.deadline_at && <When key="deadline" at={of.deadline_at} />],
          ["Retry of", of.retry_of && <Go key="retry" to={runPath(of.retry_of)}>View run</Go>],
          ["Reference", <span key="reference"><code className="break">{of.correlation_id}</code> <CopyButton text={of.correlation_id} what="the reference" /></span>],
          ["Id", <span key="id"><code className="break">{of.id}</code> <CopyButton text={of.id} what="the id" /></span>],
        ]}
      />
    </section>
  );
}

/** A step that does not move, who has to act for it, and the way out. */
function Stalled({ of }: { of: Operation }) {
  const [reason, setReason] = useState("");
  const owner = of.stalled_owner;
  return (
    <Notice tone="warn" title="It stands still.">
      <p>
        Its step has not moved since <Ago at={of.stalled_since} />.
        {owner && (
          <>
            {" "}
            It waits for the {owner.kind} <code className="break">{owner.id}</code>.
          </>
        )}
      </p>
      <div>
        <AskFirst
          word="Give up"
          danger
          title="Give up on this run?"
          ready={reason.trim() !== ""}
          act={{ path: at("/api/v1/operations/{id}", { id: of.id }) + "/give-up", body: { reason: reason.trim() } }}
        >
          <p>What it would do at its deadline is done now.</p>
          <Field label="Reason" required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} hint="Kept in the audit log." />
        </AskFirst>
      </div>
    </Notice>
  );
}

function Scope({ of }: { of: Operation }) {
  const related = useQuery(oneQuery(at("/api/v1/operations/{id}/related", { id: of.id })));
  const ways = related.data?.items ?? [];
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
            <Go key={way.href} to={way.href}>
              {way.label}
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
  { head: "What", cell: (row) => sayLine(row.kind, row.detail)[0] },
  { head: "Detail", cell: (row) => <span className="anywhere">{sayLine(row.kind, row.detail)[1]}</span> },
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
      <AskFirst<Accepted> word="Cancel run" title="Cancel this run?" act={{ path: `${path}/cancel` }} blocked={of.cancel_requested_at ? "It is being cancelled." : of.cancellable ? undefined : "Runs of this kind are not cancelled."}>
        <p>What it has done so far is undone where that is possible.</p>
      </AskFirst>
    );
  }
  if (!of.retryable) return null;
  return (
    <AskFirst<Accepted> word="Try again" title="Try this again?" act={{ path: `${path}/retry` }} onDone={(said) => go(runPath(said.operation_id))}>
      <p>A new run with the same request begins, and names this one.</p>
    </AskFirst>
  );
}
