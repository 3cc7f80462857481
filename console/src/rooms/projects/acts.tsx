// What can be done with a project: another name, the mark of the default one, its end.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { useMayNot } from "../../api/me";
import type { Project } from "../../api/types";
import { AskFirst, Button, Dialog, Failed, Go, Loaded, say, useAct, useGo } from "../../ui/kit";
import { NameForm } from "./NameForm";
import { PROJECTS } from "./family";

export function Rename({ of }: { of: Project }) {
  // The version that was read when the dialog was opened: what somebody else changed meanwhile is not undone.
  const [read, setRead] = useState<Project>();
  return (
    <>
      <Button blocked={useMayNot("projects.update")} onPress={() => setRead(of)}>
        Rename
      </Button>
      <Dialog title={`Rename ${of.name}`} isOpen={read !== undefined} onClose={() => setRead(undefined)}>
        {read && (
          <NameForm
            word="Rename"
            name={read.name}
            act={(name) => ({ path: at("/api/v1/projects/{project_id}", { project_id: read.id }), method: "PATCH", body: { name }, ifMatch: `"${read.version}"` })}
            onClose={() => setRead(undefined)}
            onDone={(project) => {
              setRead(undefined);
              say(`The project is called ${project.name} now.`);
            }}
          />
        )}
      </Dialog>
    </>
  );
}

export function MakeDefault({ of }: { of: Project }) {
  const set = useAct<Project>((project) => say(`Launches go to ${project.name} now, unless said otherwise.`));
  return (
    <>
      <Button
        small
        aria-label={`Make default: ${of.name}`}
        blocked={useMayNot("projects.set_default")}
        isPending={set.isPending}
        onPress={() => set.mutate({ path: at("/api/v1/projects/{project_id}/set-default", { project_id: of.id }), body: {} })}
      >
        Make default
      </Button>
      {set.error && <Failed error={set.error} />}
    </>
  );
}

/** Says first what is in the way; only a project without any of it can be deleted. */
export function Delete({ of }: { of: Project }) {
  const go = useGo();
  const mayNot = useMayNot("projects.delete");
  const impact = useQuery(oneQuery(at("/api/v1/projects/{project_id}/deletion-impact", { project_id: of.id }), 5000));
  return (
    <Loaded query={impact} lines={2}>
      {(it) => (
        <>
          {it.blockers.length > 0 && (
            <ul>
              {it.blockers.map((one) => (
                <li key={one.id}>
                  {one.detail} {one.code === "allocation" && <Go to={`/workloads/${one.id}`} aria-label={`Open it: ${one.name}`}>Open it</Go>}
                </li>
              ))}
              {it.allocations > it.blockers.filter((one) => one.code === "allocation").length && (
                <li>
                  <Go to={`/workloads?project=${of.id}`}>All {it.allocations} workloads that stand in it</Go>
                </li>
              )}
            </ul>
          )}
          <div>
            <AskFirst
              word="Delete project"
              danger
              title={`Delete ${of.name}?`}
              typed={of.name}
              blocked={mayNot ?? (it.deletable ? undefined : "Something is in the way.")}
              act={{ path: at("/api/v1/projects/{project_id}", { project_id: of.id }), method: "DELETE" }}
              onDone={() => {
                say(`The project ${of.name} is deleted.`);
                go(PROJECTS);
              }}
            >
              <p>
                Nothing can be launched in it any more, and its name is free.
                {it.history > 0 && ` Its ${it.history === 1 ? "workload that is over stays" : `${it.history} workloads that are over stay`} in the history.`}
              </p>
            </AskFirst>
          </div>
        </>
      )}
    </Loaded>
  );
}
