// One workload: how it is, how to get in, what it uses, what happened, what it was asked to be.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { useMayNot } from "../../api/me";
import type { Accepted, Allocation } from "../../api/types";
import { Ago, AskFirst, Button, CopyButton, Failed, GoButton, Loading, Notice, Page, State, TabsAt, say, useGo } from "../../ui/kit";
import { Config } from "./Config";
import { Connect } from "./Connect";
import { Events } from "./Events";
import { Logs } from "./Logs";
import { WorkloadMetrics } from "./Metrics";
import { Overview } from "./Overview";
import { endedBadly, nodeOf, whyOf } from "./why";

export const OVER = ["released", "failed"];
const CRUMBS = [["/workloads", "Workloads"]] as const;

export function Workload({ id, tab, onTab }: { id: string; tab: string | undefined; onTab: (tab: string) => void }) {
  const one = useQuery(oneQuery(at("/api/v1/allocations/{id}", { id }), 2000));
  if (!one.data) {
    return (
      <Page title="Workload" crumbs={CRUMBS}>
        {one.error ? <Failed error={one.error} retry={() => void one.refetch()} /> : <Loading />}
      </Page>
    );
  }
  const it = one.data;
  const now = it.step || (it.state === "releasing" && `Waits until its node ${nodeOf(it)} has proved that nothing is left`);
  return (
    <Page title={it.name} crumbs={CRUMBS} aside={<Acts of={it} />}>
      {one.error && <Failed error={one.error} />}
      <div className="row" role="status">
        <State of={it.display_status} />
        {now && !OVER.includes(it.state) && <span className="hint">{now}</span>}
      </div>
      <Trouble of={it} />
      <TabsAt
        label="Parts of this workload"
        at={tab}
        onChange={onTab}
        tabs={[
          ["overview", "Overview", () => <Overview of={it} />],
          ["connect", "Connect", () => <Connect of={it} />],
          ["metrics", "Metrics", () => <WorkloadMetrics of={it} />],
          ["events", "Events", () => <Events of={it} />],
          ["config", "Config", () => <Config of={it} />],
        ]}
      />
    </Page>
  );
}

/** What went wrong, in words, with the next step. */
function Trouble({ of }: { of: Allocation }) {
  if (of.failure_reason) {
    const { detail, code, correlation_id } = of.failure_reason;
    return (
      <Notice tone="bad" title={detail || code}>
        <div className="row">
          <GoButton small to={`/launch/compute?from=${of.id}`}>
            Launch again with the same settings
          </GoButton>
          {correlation_id && (
            <span className="hint">
              Reference <code>{correlation_id}</code> <CopyButton text={correlation_id} what="the reference" />
            </span>
          )}
        </div>
      </Notice>
    );
  }
  if (of.release_failed_reason) {
    return (
      <Notice tone="bad" title={of.release_failed_reason}>
        <p>You are done with it: release it again to ask its node {nodeOf(of)} once more, or leave it to the operators, who see it too.</p>
      </Notice>
    );
  }
  if (of.state === "degraded") {
    return (
      <Notice tone="warn" title={whyOf(of)}>
        <p>The workload runs on where it is. It can be reached again as soon as the node is back; you can also release it.</p>
        {of.price && <p>Until then it counts for nothing in what you pay an hour.</p>}
      </Notice>
    );
  }
  return (
    <>
      {of.state === "releasing" && of.release_operation_id && <Waits of={of} task={of.release_operation_id} />}
      {endedBadly(of) && (
        <Notice tone="warn" title={whyOf(of)}>
          <div className="row">
            <Logs of={of} />
            <GoButton small to={`/launch/compute?from=${of.id}`}>
              Launch again with the same settings
            </GoButton>
          </div>
        </Notice>
      )}
    </>
  );
}

/** A release that does not move: whom it waits for. */
function Waits({ of, task }: { of: Allocation; task: string }) {
  const release = useQuery(oneQuery(at("/api/v1/operations/{id}", { id: task }), 3000));
  if (!release.data?.stalled_since) return null;
  return (
    <Notice tone="warn" title={`Its release waits for its node ${nodeOf(of)}`}>
      <p>
        It has not moved since <Ago at={release.data.stalled_since} />, and goes on by itself when the node answers. The operators see it too.
      </p>
      <div>
        <GoButton small to={`/tasks/${task}`}>
          Watch how far it is
        </GoButton>
      </div>
    </Notice>
  );
}

function Acts({ of }: { of: Allocation }) {
  const go = useGo();
  const noTerminal = useMayNot("terminals.token");
  const noRelease = useMayNot("allocations.release");
  const ending = OVER.includes(of.state) || of.state === "releasing";
  const why = of.state === "active" || of.state === "degraded" ? undefined : ending ? "This workload has ended." : "It is not up yet.";
  return (
    <>
      <Button look="primary" blocked={noTerminal ?? why} onPress={() => go(`/workloads/${of.id}/terminal`)}>
        Terminal
      </Button>
      {ending && (
        <GoButton to={`/launch/compute?from=${of.id}`}>Launch a copy</GoButton>
      )}
      {!ending && (
        <AskFirst<Accepted>
          word="Release"
          danger
          blocked={noRelease}
          title={`Release ${of.name}?`}
          act={{ path: `/api/v1/allocations/${of.id}/release` }}
          onDone={(said) => {
            say(`${of.name} is being released.`, { to: `/workloads/${of.id}`, word: "Open it" });
            go(`/tasks/${said.operation_id}`);
          }}
        >
          <p>Its programs are ended, and its disk with everything on it is deleted. This cannot be undone.</p>
        </AskFirst>
      )}
    </>
  );
}
