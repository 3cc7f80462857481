// What owns workloads: the projects of the workspace.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { Problem } from "../../api/http";
import { listQuery } from "../../api/lists";
import { useMayNot } from "../../api/me";
import type { Project } from "../../api/types";
import { Ago, Badge, Button, Dialog, Empty, Failed, Family, Field, Go, Page, PagedTable, say, useAct, type Column } from "../../ui/kit";
import { ACCESS } from "./family";

const COLUMNS: Column<Project>[] = [
  {
    head: "Name",
    cell: (one) => (
      <Go to={`/workloads?view=all&project=${one.id}`} className="clip" title={one.name}>
        {one.name}
      </Go>
    ),
    sort: (one) => one.name,
  },
  { head: "Launches go here", cell: (one) => (one.is_default ? <Badge tone="good">Unless said otherwise</Badge> : "When chosen") },
  { head: "Made", cell: (one) => <Ago at={one.created_at} />, sort: (one) => one.created_at },
];

export function Projects() {
  const list = useInfiniteQuery(listQuery(at("/api/v1/projects"), { limit: 200 }));
  const [sort, setSort] = useState<string>();
  return (
    <Page title="Projects" aside={<NewProject blocked={useMayNot("projects.create")} />}>
      <Family label="Access" links={ACCESS} />
      <PagedTable
        query={list}
        label="Projects"
        columns={COLUMNS}
        id={(one) => one.id}
        sort={sort}
        onSort={setSort}
        empty={<Empty title="No project yet" />}
      />
    </Page>
  );
}

function NewProject({ blocked }: { blocked: string | undefined }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  const make = useAct<Project>((made) => {
    setOpen(false);
    setName("");
    say(`The project ${made.name} is made.`);
  });
  const problem = make.error instanceof Problem ? make.error : undefined;
  const said = problem?.code === "name_taken" ? problem.message : problem?.body.errors?.[0]?.detail;
  return (
    <>
      <Button look="primary" blocked={blocked} onPress={() => setOpen(true)}>
        New project
      </Button>
      <Dialog title="New project" isOpen={open} onClose={() => setOpen(false)}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            make.mutate({ path: "/api/v1/projects", body: { name } });
          }}
        >
          <Field label="Name" value={name} required maxLength={100} autoFocus onChange={(event) => setName(event.target.value)} error={said} />
          {make.error && !said && <Failed error={make.error} />}
          <div className="row end">
            <Button onPress={() => setOpen(false)}>Cancel</Button>
            <Button look="primary" type="submit" isPending={make.isPending}>
              Make it
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}
