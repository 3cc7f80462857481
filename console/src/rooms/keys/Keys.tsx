// The SSH keys of the person: add, see, delete.
import { useInfiniteQuery } from "@tanstack/react-query";
import { listQuery } from "../../api/lists";
import type { SshKey } from "../../api/types";
import { Ago, Empty, Page } from "../../ui/kit";
import { AskFirst, PagedTable, type Column } from "../../ui/parts";
import { AddKey } from "./AddKey";

const COLUMNS: Column<SshKey>[] = [
  { head: "Name", cell: (key) => key.name },
  { head: "Kind", cell: (key) => `${key.kind} ${key.bits}` },
  { head: "Fingerprint", cell: (key) => <code>{key.fingerprint}</code> },
  { head: "Added", cell: (key) => <Ago at={key.created_at} /> },
  {
    head: "Actions",
    cell: (key) => (
      <AskFirst word="Delete" small danger title={`Delete ${key.name}?`} act={{ path: `/api/v1/ssh-keys/${key.id}`, method: "DELETE" }}>
        <p>New workloads will not get it. Workloads that have it keep it until they are released.</p>
      </AskFirst>
    ),
  },
];

export const keysQuery = listQuery<SshKey>("/api/v1/ssh-keys");

export function Keys() {
  const list = useInfiniteQuery(keysQuery);
  return (
    <Page title="SSH keys">
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
        <AddKey />
      </section>
    </Page>
  );
}
