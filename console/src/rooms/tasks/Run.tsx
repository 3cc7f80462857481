// One operation as it goes: steps, what it was about, how it ended, and the way on.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { oneQuery } from "../../api/lists";
import type { Accepted, Line, Operation, Paged } from "../../api/types";
import { Ago, Failed, Loaded, Loading, Notice, Page } from "../../ui/kit";
import { AskFirst, Facts, State, Table } from "../../ui/parts";
import { Steps } from "./Steps";

export function Run({ id, subjectTo, onGo }: { id: string; subjectTo: (operation: Operation) => string | undefined; onGo: (id: string) => void }) {
  const run = useQuery({
    ...oneQuery<Operation>(`/api/v1/operations/${id}`),
    refetchInterval: (query) => (query.state.data?.ended_at ? false : 700),
  });
  const lines = useQuery({
    ...oneQuery<Paged<Line>>(`/api/v1/operations/${id}/events`),
    refetchInterval: run.data?.ended_at ? false : 1500,
  });
  if (!run.data) return <Page title="Task">{run.error ? <Failed error={run.error} retry={() => void run.refetch()} /> : <Loading />}</Page>;
  const it = run.data;
  const to = subjectTo(it);
  const outcome = it.outcome ?? it.state;
  return (
    <Page title={it.kind} aside={<Acts of={it} onGo={onGo} />}>
      <div className="row" role="status">
        <State of={outcome} />
        {it.cancel_requested_at && !it.ended_at && <span className="hint">Cancelling.</span>}
      </div>
      {it.failure && <Notice tone="bad" title={it.failure.detail || it.failure.code} />}
      {it.ended_at && to && (
        <Notice tone={outcome === "succeeded" ? "good" : "warn"} title={outcome === "succeeded" ? "It is done." : "It has ended."}>
          <div>
            <Link className="button primary" to={to}>
              {it.subject.kind === "allocation" ? "Go to the workload" : "Go to what it was about"}
            </Link>
          </div>
        </Notice>
      )}
      <section className="card stack">
        <h2>Steps</h2>
        <Steps of={it} />
      </section>
      <section className="card stack">
        <h2>About</h2>
        <Facts
          of={[
            ["On", to ? <Link key="to" to={to}>{it.subject.id}</Link> : <code key="on">{it.subject.id}</code>],
            ["Asked for by", it.initiator.name || it.initiator.kind],
            ["Asked for", <Ago key="at" at={it.created_at} />],
            ["Ended", it.ended_at && <Ago key="ended" at={it.ended_at} />],
            ["Retry of", it.retry_of],
            ["Reference", <code key="reference">{it.correlation_id}</code>],
            ["Id", <code key="id">{it.id}</code>],
          ]}
        />
      </section>
      <section className="stack tight">
        <h2>What happened</h2>
        <Loaded query={lines} lines={2}>
          {({ items }) =>
            items.length === 0 ? (
              <p className="hint">Nothing was noted.</p>
            ) : (
              <Table
                label="What happened"
                rows={items}
                id={(row) => String(row.seq)}
                columns={[
                  { head: "When", cell: (row) => new Date(row.at).toLocaleTimeString() },
                  { head: "What", cell: (row) => row.kind },
                  { head: "Detail", cell: (row) => row.detail },
                ]}
              />
            )
          }
        </Loaded>
      </section>
    </Page>
  );
}

function Acts({ of, onGo }: { of: Operation; onGo: (id: string) => void }) {
  if (!of.ended_at) {
    return (
      <AskFirst<Accepted>
        word="Cancel task"
        title="Cancel this task?"
        act={{ path: `/api/v1/operations/${of.id}/cancel` }}
        blocked={of.cancel_requested_at ? "It is being cancelled." : undefined}
      >
        <p>What it has done so far is undone where that is possible.</p>
      </AskFirst>
    );
  }
  if (of.outcome !== "failed") return null;
  return (
    <AskFirst<Accepted> word="Try again" title="Try this again?" act={{ path: `/api/v1/operations/${of.id}/retry` }} onDone={(said) => onGo(said.operation_id)}>
      <p>A new task with the same request begins.</p>
    </AskFirst>
  );
}
