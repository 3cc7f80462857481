// What owns workloads: the projects of the workspace.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import { useMayNot } from "../../api/me";
import type { Project } from "../../api/types";
import { Ago, Badge, Button, Dialog, Empty, Family, Go, Name, Page, PagedTable, say, type Column } from "../../ui/kit";
import { MakeDefault } from "./acts";
import { ACCESS, projectPath } from "./family";
import { NameForm } from "./NameForm";

const COLUMNS: Column<Project>[] = [
  {
    head: "Name",
    cell: (one) => (
      <Go to={projectPath(one.id)}>
        <Name of={one.name} />
      </Go>
    ),
    sort: (one) => one.name,
  },
  { head: "Launches go here", cell: (one) => (one.is_default ? <Badge tone="good">Unless said otherwise</Badge> : <MakeDefault of={one} />) },
  { head: "Workloads", cell: (one) => <Go to={`/workloads?view=all&project=${one.id}`} aria-label={`Show workloads of ${one.name}`}>Show</Go> },
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
  return (
    <>
      <Button look="primary" blocked={blocked} onPress={() => setOpen(true)}>
        New project
      </Button>
      <Dialog title="New project" isOpen={open} onClose={() => setOpen(false)}>
        <NameForm
          word="Make it"
          act={(name) => ({ path: at("/api/v1/projects"), body: { name } })}
          onClose={() => setOpen(false)}
          onDone={(made) => {
            setOpen(false);
            say(`The project ${made.name} is made.`, { to: projectPath(made.id), word: "Open it" });
          }}
        />
      </Dialog>
    </>
  );
}
