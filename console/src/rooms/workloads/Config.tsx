// What a workload was asked to be, fixed at its launch; and its labels, which may change.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { Allocation } from "../../api/types";
import { Facts, GoButton, saySpan } from "../../ui/kit";
import { Labels } from "./Labels";
import { Logs } from "./Logs";

export function Config({ of }: { of: Allocation }) {
  const projects = useInfiniteQuery(listQuery(at("/api/v1/projects"), { limit: 200 }));
  const project = projects.data?.find((one) => one.id === of.project_id);
  return (
    <div className="card stack">
      <Facts
        of={[
          ["Command", of.command?.length ? <code key="command" className="break">{of.command.join(" ")}</code> : "Interactive: runs until it is released"],
          ["Environment", of.env.length ? <span key="env">{of.env.join(", ")} <span className="hint">(values are shown to nobody)</span></span> : "none"],
          ["Labels", <Labels key="labels" of={of} />],
          ["Longest run", of.max_runtime_s ? saySpan(of.max_runtime_s) : "no limit"],
          ["When the command ends", of.command?.length ? (of.release_on_exit ? "The hardware is released" : "The workload stays until you release it") : null],
          ["Keys", of.ssh_key_ids.length],
          ["Project", project?.name ?? <code key="project">{of.project_id}</code>],
        ]}
      />
      <div className="row">
        <GoButton small to={`/launch/compute?from=${of.id}`}>
          Launch a copy
        </GoButton>
        {of.command?.length ? <Logs of={of} /> : null}
      </div>
    </div>
  );
}
