// What a person comes home to: what needs them, what runs, what was asked for last, and the first steps.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import { meQuery } from "../../api/me";
import type { Allocation, Home as View, Operation } from "../../api/types";
import { Ago, Badge, Empty, Go, GoButton, Loaded, Name, Page, State, Table, sayMoney } from "../../ui/kit";
import { sayKind } from "../tasks/words";
import { ManyLost } from "../workloads/ManyLost";
import { NextStep } from "../workloads/NextStep";
import { whyOf } from "../workloads/why";

export function Home() {
  const me = useQuery(meQuery);
  const home = useQuery(oneQuery(at("/api/v1/home"), 3000));
  return (
    <Page
      title={me.data ? `Hello ${me.data.user.username}` : "Home"}
      aside={
        <GoButton look="primary" to="/launch/compute">
          Launch a workload
        </GoButton>
      }
    >
      <Loaded query={home}>
        {(it) => (
          <>
            <ManyLost at={it.many_lost_at} />
            {(!it.has_ssh_key || !it.has_launched) && <FirstSteps of={it} />}
            <Attention of={it} />
            {it.has_launched && (
              <>
                <Running of={it} />
                <Recent />
              </>
            )}
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** At most three steps, each of which ends in a page that is there. */
function FirstSteps({ of }: { of: View }) {
  const steps: [done: boolean, to: string, word: string, why: string][] = [
    [of.has_ssh_key, "/access/credentials", "Add an SSH key", "With it you reach your workloads by plain ssh. The terminal in the browser works without."],
    [of.has_launched, "/launch/compute", "Launch your first workload", "Choose the GPUs, press Launch, and watch it come up in seconds."],
    [false, "/developer/docs", "Set up the command line", "muster launches, connects and releases from scripts."],
  ];
  return (
    <section className="card stack">
      <h2>First steps</h2>
      <ol className="first">
        {steps.map(([done, to, word, why]) => (
          <li key={to}>
            <Badge tone={done ? "good" : "quiet"}>{done ? "Done" : "To do"}</Badge>
            <div>
              <Go to={to}>{word}</Go>
              <p className="hint">{why}</p>
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Attention({ of }: { of: View }) {
  if (of.attention.length === 0) {
    if (!of.has_launched) return null;
    return (
      <section className="card row">
        <Badge tone="good">All good</Badge>
        <span>Nothing needs your attention.</span>
      </section>
    );
  }
  return (
    <section className="stack tight">
      <h2>Needs attention</h2>
      <ul className="queue">
        {of.attention.map((one) => (
          <li key={one.id} className="card">
            <div className="stack tight">
              <div className="row tight">
                <State of={one.display_status} />
                <Go to={`/workloads/${one.id}`}>
                  <Name of={one.name} />
                </Go>
              </div>
              <p className="break">{whyOf(one)}</p>
            </div>
            <NextStep of={one} />
          </li>
        ))}
      </ul>
      {of.counts.attention > of.attention.length && <Go to="/workloads?view=attention">See all {of.counts.attention}</Go>}
    </section>
  );
}

function Running({ of }: { of: View }) {
  return (
    <section className="stack tight">
      <div className="row apart">
        <h2>Running now</h2>
        <Go to="/workloads">{of.counts.active > of.running.length ? `All ${of.counts.active} workloads` : "All workloads"}</Go>
      </div>
      {of.running_prices.length > 0 && (
        <p>
          What runs costs <strong className="price">{of.running_prices.map((one) => sayMoney(one.minor_per_hour, one.currency)).join(" and ")}</strong> per hour.
        </p>
      )}
      {of.running.length === 0 ? (
        <div className="card">
          <Empty title="Nothing runs now">
            <Go to="/workloads?view=history">See what ran before</Go>
          </Empty>
        </div>
      ) : (
        <Table
          label="Running now"
          rows={of.running}
          id={(one: Allocation) => one.id}
          columns={[
            { head: "Name", cell: (one) => <Go to={`/workloads/${one.id}`}><Name of={one.name} /></Go> },
            { head: "State", cell: (one) => <State of={one.display_status} /> },
            { head: "Hardware", cell: (one) => <Name of={one.sku} /> },
            { head: "Since", cell: (one) => <Ago at={one.active_at ?? one.created_at} /> },
            {
              head: "Get in",
              cell: (one) =>
                one.state === "active" ? (
                  <GoButton small to={`/workloads/${one.id}/terminal`} aria-label={`Terminal of ${one.name}`}>
                    Terminal
                  </GoButton>
                ) : (
                  <span className="hint">{one.state === "degraded" ? "not reachable now" : (one.step ?? "not up yet")}</span>
                ),
            },
          ]}
        />
      )}
    </section>
  );
}

function Recent() {
  const tasks = useInfiniteQuery(listQuery<Operation>(at("/api/v1/tasks"), { limit: 5 }, 3000));
  return (
    <section className="stack tight">
      <div className="row apart">
        <h2>Last tasks</h2>
        <Go to="/tasks">All tasks</Go>
      </div>
      <Loaded query={tasks} lines={3}>
        {(rows) => (
          <Table
            label="Last tasks"
            rows={rows.slice(0, 5)}
            id={(one) => one.id}
            columns={[
              { head: "What", cell: (one) => <Go to={`/tasks/${one.id}`}><Name of={sayKind(one)} /></Go> },
              { head: "State", cell: (one) => <State of={one.outcome ?? one.state} /> },
              { head: "Asked for", cell: (one) => <Ago at={one.created_at} /> },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}
