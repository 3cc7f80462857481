// What is sold, and how much of it there is.
import { useInfiniteQuery } from "@tanstack/react-query";
import { listQuery } from "../../api/lists";
import type { Sku } from "../../api/types";
import { AskFirst, bytes, type Column, Empty, Page, PagedTable, State } from "../../ui/kit";

const COLUMNS: Column<Sku>[] = [
  { head: "Name", cell: (one) => one.name },
  { head: "State", cell: (one) => <State of={one.state} /> },
  { head: "Kind", cell: (one) => one.profile ?? one.kind },
  { head: "GPU", cell: (one) => (one.gpu_model ? `${one.gpus} × ${one.gpu_model}` : "none") },
  { head: "CPU", number: true, cell: (one) => one.cpu_milli / 1000 },
  { head: "Memory", number: true, cell: (one) => bytes(one.memory_bytes) },
  { head: "Free", number: true, cell: (one) => `${one.free} of ${one.total}` },
  {
    head: "Actions",
    cell: (one) =>
      one.state === "active" ? (
        <AskFirst word="Retire" small danger title={`Retire ${one.name}?`} act={{ path: `/api/v1/admin/skus/${one.id}/retire` }}>
          <p>It is not sold any more. What runs on it runs on.</p>
        </AskFirst>
      ) : one.state === "draft" ? (
        <AskFirst word="Activate" small title={`Sell ${one.name}?`} act={{ path: `/api/v1/admin/skus/${one.id}/activate` }}>
          <p>Users can launch it at once.</p>
        </AskFirst>
      ) : null,
  },
];

export function Skus() {
  const list = useInfiniteQuery(listQuery<Sku>("/api/v1/admin/skus", { limit: 200 }, 5000));
  return (
    <Page title="SKUs">
      <PagedTable query={list} label="SKUs" columns={COLUMNS} id={(one) => one.id} empty={<Empty title="Nothing is sold yet" />} />
    </Page>
  );
}
