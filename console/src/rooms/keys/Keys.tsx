// The SSH keys of the person: add, see, delete.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { SshKey } from "../../api/types";
import { Ago, AskFirst, Empty, Family, Name, Page, PagedTable, say, type Column } from "../../ui/kit";
import { ACCESS } from "../projects/family";
import { AddKey } from "./AddKey";

const COLUMNS: Column<SshKey>[] = [
  { head: "Name", cell: (key) => <Name of={key.name} /> },
  { head: "Kind", cell: (key) => <span className="nowrap">{`${key.kind} ${key.bits}`}</span> },
  { head: "Fingerprint", cell: (key) => <code className="break">{key.fingerprint}</code> },
  { head: "Added", cell: (key) => <Ago at={key.created_at} /> },
  {
    head: "Actions",
    cell: (key) => (
      <AskFirst word="Delete" small danger title={`Delete ${key.name}?`} act={{ path: `/api/v1/ssh-keys/${key.id}`, method: "DELETE" }}>
        <p>New workloads will not get it. Workloads that have it keep it until you change their keys or release them.</p>
      </AskFirst>
    ),
  },
];

export const keysQuery = listQuery<SshKey>(at("/api/v1/ssh-keys"));

export function Keys() {
  const list = useInfiniteQuery(keysQuery);
  return (
    <Page title="SSH keys">
      <Family label="Access" links={ACCESS} />
      <PagedTable
        query={list}
        label="SSH keys"
        columns={COLUMNS}
        id={(key) => key.id}
        empty={
          <Empty title="No key yet">
            <p>With a key you reach your workloads by plain ssh.</p>
          </Empty>
        }
      />
      <section className="card stack narrow">
        <h2>Add a key</h2>
        <AddKey onAdded={(key) => say(`The key ${key.name} is added.`)} />
      </section>
    </Page>
  );
}
