// One project: what it is, what stands in it, and what can be done with it.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { Allocation, Project } from "../../api/types";
import { Ago, Badge, CopyButton, Empty, Facts, Failed, Go, GoButton, Loaded, Loading, Name, Page, State, Table } from "../../ui/kit";
import { Delete, MakeDefault, Rename } from "./acts";
import { PROJECTS } from "./family";

const CRUMBS = [[PROJECTS, "Projects"]] as const;

export function ProjectPage({ id }: { id: string }) {
  const project = useQuery(oneQuery<Project>(at("/api/v1/projects/{project_id}", { project_id: id })));
  const it = project.data;
  if (!it) {
    return (
      <Page title="Project" crumbs={CRUMBS}>
        {project.error ? <Failed error={project.error} retry={() => void project.refetch()} /> : <Loading />}
      </Page>
    );
  }
  return (
    <Page title={it.name} crumbs={CRUMBS} aside={<Rename of={it} />}>
      <div className="columns">
        <section className="card stack" aria-labelledby="about-head">
          <h2 id="about-head">About</h2>
          <Facts
            of={[
              ["Made", <Ago key="made" at={it.created_at} />],
              [
                "Id",
                <span key="id" className="row tight">
                  <code className="break">{it.id}</code> <CopyButton text={it.id} what="the id" />
                </span>,
              ],
            ]}
          />
        </section>
        <section className="card stack" aria-labelledby="default-head">
          <h2 id="default-head">Default project</h2>
          {it.is_default ? (
            <p className="row">
              <Badge tone="good">Default</Badge> Launches go here unless said otherwise.
            </p>
          ) : (
            <>
              <p>Launches go here only when it is chosen.</p>
              <div>
                <MakeDefault of={it} />
              </div>
            </>
          )}
        </section>
      </div>
      <Standing of={it} />
      <section className="card stack" aria-labelledby="end-head">
        <h2 id="end-head">Delete</h2>
        <Delete of={it} />
      </section>
    </Page>
  );
}

/** Rows shown here; the list of workloads has all. */
const SHOWN = 10;

function Standing({ of }: { of: Project }) {
  const workloads = useQuery(oneQuery(at("/api/v1/workloads", undefined, { project_id: of.id, view: "active", limit: SHOWN }), 5000));
  return (
    <section className="stack tight" aria-labelledby="standing-head">
      <div className="row apart">
        <h2 id="standing-head">Stands in it now</h2>
        <Go to={`/workloads?view=all&project=${of.id}`}>All its workloads</Go>
      </div>
      <Loaded query={workloads} lines={3}>
        {({ items }) =>
          items.length === 0 ? (
            <div className="card">
              <Empty title="Nothing stands in it now">
                <GoButton to="/launch/compute">Launch a workload</GoButton>
              </Empty>
            </div>
          ) : (
            <Table
              label="Workloads that stand in it"
              rows={items}
              id={(one: Allocation) => one.id}
              columns={[
                { head: "Name", cell: (one) => <Go to={`/workloads/${one.id}`}><Name of={one.name} /></Go> },
                { head: "State", cell: (one) => <State of={one.display_status} /> },
                { head: "Hardware", cell: (one) => <Name of={one.sku} /> },
                { head: "Since", cell: (one) => <Ago at={one.active_at ?? one.created_at} /> },
              ]}
            />
          )
        }
      </Loaded>
    </section>
  );
}
