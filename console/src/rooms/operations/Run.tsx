// The one page of an operation: how it goes, what it was about, how it ended, and the way on. People who began it see
// it as their task, staff and auditors as a run; what a door does not allow is not shown there.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import { pace } from "../../api/live";
import { useMayNot } from "../../api/me";
import type { Accepted, Line, Operation } from "../../api/types";
import { Ago, AskFirst, type Column, CopyButton, Empty, Facts, Failed, Field, Go, GoButton, Loading, Notice, Page, PagedTable, State, When, useGo } from "../../ui/kit";
import { runPath } from "../paths";
import { Steps, took } from "../tasks/Steps";
import { sayKind, sayLine } from "../tasks/words";

/** How often one that goes on is asked for while nobody tells of changes, ms. */
const LIVE_MS = 700;
const LINES_MS = 1500;

export interface Frame {
  /** What it is called here. */
  word: "Task" | "Run";
  crumbs: readonly (readonly [to: string, word: string])[];
  /** The page of another one, as a task or as a run. */
  path: (id: string) => string;
  /** Where that what it is about stands, if it has a page here. */
  subjectTo: (operation: Operation) => string | undefined;
  /** Its node as people of this door know it. */
  Node: (props: { id: string; of: Operation }) => ReactNode;
}

/** The node that does it, where there is one. */
function nodeIn({ context, stalled_owner, subject }: Operation): string | undefined {
  if (stalled_owner?.kind === "node") return stalled_owner.id;
  const { node_id } = (context ?? {}) as { node_id?: unknown };
  return typeof node_id === "string" && node_id !== subject.id ? node_id : undefined;
}

export function Run({ id, frame }: { id: string; frame: Frame }) {
  const path = at("/api/v1/operations/{id}", { id });
  const run = useQuery({
    ...oneQuery<Operation>(path),
    refetchInterval: (query) => (query.state.data?.ended_at ? false : pace(path, LIVE_MS)),
  });
  const it = run.data;
  if (!it) {
    return (
      <Page title={frame.word} crumbs={frame.crumbs}>
        {run.error ? <Failed error={run.error} retry={() => void run.refetch()} /> : <Loading />}
      </Page>
    );
  }
  const to = frame.subjectTo(it);
  const outcome = it.outcome ?? it.state;
  return (
    <Page title={frame.word === "Run" ? `Run: ${sayKind(it)}` : sayKind(it)} crumbs={frame.crumbs} aside={<Acts of={it} frame={frame} />}>
      {run.error && <Failed error={run.error} />}
      <div className="row" role="status">
        <State of={outcome} />
        {it.cancel_requested_at && !it.ended_at && <span className="hint">Cancelling: what was done is undone where that is possible.</span>}
      </div>
      {it.stalled_since && <Stalled of={it} frame={frame} />}
      {it.failure && (
        <Notice tone={outcome === "partial" ? "warn" : "bad"} title={it.failure.detail || it.failure.code}>
          <p className="hint">
            <Reference of={it} />
          </p>
        </Notice>
      )}
      {it.ended_at && to && frame.word === "Task" && (
        <Notice tone={outcome === "succeeded" ? "good" : "warn"} title={outcome === "succeeded" ? "It is done." : "It has ended."}>
          <div>
            <GoButton look="primary" to={to}>
              {it.subject.kind === "allocation" ? "Go to the workload" : "Go to what it was about"}
            </GoButton>
          </div>
        </Notice>
      )}
      <div className="columns">
        <Part title="Steps">
          <Steps of={it} />
        </Part>
        <Part title="About">
          <About of={it} to={to} frame={frame} />
        </Part>
      </div>
      <Scope of={it} />
      <Timeline of={it.id} every={it.ended_at ? false : LINES_MS} />
    </Page>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card stack">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Reference({ of }: { of: Operation }) {
  return (
    <>
      Reference <code className="break">{of.correlation_id}</code> <CopyButton text={of.correlation_id} what="the reference" />
    </>
  );
}

function About({ of, to, frame }: { of: Operation; to: string | undefined; frame: Frame }) {
  const subject = of.subject.id;
  const node = nodeIn(of);
  return (
    <Facts
      of={[
        ["On", subject && (to ? <Go key="to" to={to} className="break">{subject}</Go> : <code key="on" className="break">{subject}</code>)],
        ["Node", node && <frame.Node key="node" id={node} of={of} />],
        ["Asked for by", `${of.initiator.name || of.initiator.kind}${of.initiator.kind === "person" ? "" : ` (${of.initiator.kind})`}`],
        ["Asked for", <When key="created" at={of.created_at} />],
        ["Began", of.started_at && <When key="started" at={of.started_at} />],
        ["Ended", of.ended_at && <When key="ended" at={of.ended_at} />],
        ["Took", took(of.started_at, of.ended_at)],
        ["Gives up by itself", !of.ended_at && of.deadline_at ? <When key="deadline" at={of.deadline_at} /> : null],
        ["Attempt", of.attempt > 1 ? of.attempt : null],
        ["Retry of", of.retry_of && <Go key="retry" to={frame.path(of.retry_of)}>The attempt before</Go>],
        ["Project", of.project_id && <code key="project" className="break">{of.project_id}</code>],
        ["Reference", <span key="reference" className="row tight"><code className="break">{of.correlation_id}</code> <CopyButton text={of.correlation_id} what="the reference" /></span>],
        ["Id", <span key="id" className="row tight"><code className="break">{of.id}</code> <CopyButton text={of.id} what="the id" /></span>],
      ]}
    />
  );
}

/** A step that does not move, who has to act for it, and for staff the way out. */
function Stalled({ of, frame }: { of: Operation; frame: Frame }) {
  const [reason, setReason] = useState("");
  const mayNot = useMayNot("operations.give_up");
  const owner = of.stalled_owner;
  return (
    <Notice tone="warn" title="It stands still for longer than it should">
      <p>
        Its step has not moved since <Ago at={of.stalled_since} />.{" "}
        {owner?.kind === "node" ? (
          <>
            It waits for its node <frame.Node id={owner.id} of={of} />, and goes on by itself when the node answers.
          </>
        ) : (
          "Its operators see it too."
        )}
      </p>
      {!mayNot && (
        <div>
          <AskFirst
            word="Give up"
            danger
            title="Give up on this run?"
            ready={reason.trim() !== ""}
            act={{ path: `${at("/api/v1/operations/{id}", { id: of.id })}/give-up`, body: { reason: reason.trim() } }}
          >
            <p>What it would do at its deadline is done now.</p>
            <Field label="Reason" required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} hint="Kept in the audit log." />
          </AskFirst>
        </div>
      )}
    </Notice>
  );
}

/** What it was asked with, and where one may go from it. */
function Scope({ of }: { of: Operation }) {
  const related = useQuery(oneQuery(at("/api/v1/operations/{id}/related", { id: of.id })));
  const ways = related.data?.items ?? [];
  const context = of.context as Record<string, unknown> | null;
  const known = context && Object.keys(context).length > 0;
  return (
    <section className="card stack" aria-labelledby="scope-head">
      <h2 id="scope-head">Target scope</h2>
      {!of.subject.id && <p>No target scope details were recorded for this run.</p>}
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
  {
    head: "Detail",
    cell: (row) => {
      const [, detail] = sayLine(row.kind, row.detail);
      return detail && <span className="anywhere">{detail}</span>;
    },
  },
];

function Timeline({ of, every }: { of: string; every: number | false }) {
  const lines = useInfiniteQuery(listQuery<Line>(at("/api/v1/operations/{id}/events", { id: of }), { limit: 100 }, every));
  return (
    <section className="stack tight" aria-labelledby="timeline-head">
      <h2 id="timeline-head">What happened</h2>
      <PagedTable query={lines} label="Timeline" columns={LINES} id={(row) => String(row.seq)} empty={<Empty title="Nothing was noted yet" />} />
    </section>
  );
}

function Acts({ of, frame }: { of: Operation; frame: Frame }) {
  const go = useGo();
  const path = at("/api/v1/operations/{id}", { id: of.id });
  const word = frame.word.toLowerCase();
  const noCancel = useMayNot("operations.cancel");
  const noRetry = useMayNot("operations.retry");
  return (
    <>
      {!of.ended_at && (
        <AskFirst<Accepted>
          word={`Cancel ${word}`}
          title={`Cancel this ${word}?`}
          act={{ path: `${path}/cancel` }}
          blocked={noCancel ?? (of.cancel_requested_at ? "It is being cancelled." : of.cancellable ? undefined : "It is not cancelled any more.")}
        >
          <p>What it has done so far is undone where that is possible.</p>
        </AskFirst>
      )}
      {of.ended_at && of.retryable && (
        <AskFirst<Accepted> word="Try again" title="Try this again?" act={{ path: `${path}/retry` }} blocked={noRetry} onDone={(said) => go(frame.path(said.operation_id))}>
          <p>A new {word} with the same request begins, and names this one.</p>
        </AskFirst>
      )}
      {frame.word === "Task" && <GoButton to={runPath(of.id)}>View run</GoButton>}
    </>
  );
}
