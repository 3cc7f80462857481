// The one thing to do about a workload that asks for attention.
import type { Accepted, Allocation } from "../../api/types";
import { AskFirst, GoButton, useGo } from "../../ui/kit";
import { Logs } from "./Logs";
import { endedBadly, nodeOf } from "./why";

export function NextStep({ of }: { of: Allocation }) {
  const go = useGo();
  if (of.state === "failed") {
    return (
      <GoButton small to={`/launch/compute?from=${of.id}`}>
        Launch again
      </GoButton>
    );
  }
  if (of.state === "release_failed") {
    return (
      <AskFirst<Accepted>
        small
        word="Release again"
        title={`Release ${of.name} again?`}
        act={{ path: `/api/v1/allocations/${of.id}/release` }}
        onDone={(said) => go(`/tasks/${said.operation_id}`)}
      >
        <p>Its node {nodeOf(of)} is asked once more to prove that nothing is left.</p>
      </AskFirst>
    );
  }
  if (endedBadly(of)) return <Logs of={of} />;
  return (
    <GoButton small to={`/workloads/${of.id}?tab=events`}>
      See what happened
    </GoButton>
  );
}
