// What is sold, and how much of it there is.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { Sku } from "../../api/types";
import { AskFirst, Choice, type Column, Empty, FilteredEmpty, Name, Page, PagedTable, State, bytes, sayMoney } from "../../ui/kit";
import { EditSku, NewSku } from "./NewSku";
import { Prices } from "./Prices";

const STATES = [
  ["", "Any state"],
  ["draft", "Draft"],
  ["active", "Active"],
  ["retired", "Retired"],
] as const;

const COLUMNS: Column<Sku>[] = [
  { head: "Name", sort: (one) => one.name, cell: (one) => <Name of={one.name} /> },
  { head: "State", sort: (one) => one.state, cell: (one) => <State of={one.state} /> },
  { head: "Takes", cell: takes },
  {
    head: "Size",
    sort: (one) => one.memory_bytes,
    cell: (one) => (
      <>
        <span className="nowrap">{`${one.cpu_milli / 1000} CPU · ${bytes(one.memory_bytes)} ·`}</span> <span className="nowrap">{bytes(one.disk_bytes)} disk</span>
      </>
    ),
  },
  { head: "Free", number: true, sort: (one) => one.free, cell: (one) => <span className="nowrap">{`${one.free} of ${one.total}`}</span> },
  {
    head: "Per hour",
    number: true,
    sort: (one) => one.price_minor_per_hour,
    cell: (one) => (typeof one.price_minor_per_hour === "number" ? sayMoney(one.price_minor_per_hour, one.currency) : <span className="hint">not set</span>),
  },
  { head: "Actions", cell: (one) => <Acts of={one} /> },
];

function takes({ gpu_model, ...one }: Sku): string {
  const model = gpu_model?.replace(/^NVIDIA /, "");
  if (one.kind === "cpu") return "a share of a CPU node";
  if (one.kind === "node") return `a whole node${model ? ` with ${one.gpus} × ${model}` : ""}`;
  return `${one.gpus} × ${one.profile ? `slice ${one.profile} of ` : ""}${model ?? "any GPU"}`;
}

function Acts({ of }: { of: Sku }) {
  const path = at("/api/v1/admin/skus/{id}", { id: of.id });
  return (
    <div className="row tight">
      <Prices of={of} />
      {of.state === "draft" ? <EditSku of={of} /> : <NewSku like={of} />}
      {of.state === "active" ? (
        <AskFirst word="Retire" small danger title={`Retire ${of.name}?`} act={{ path: `${path}/retire` }}>
          <p>It is not sold any more. What runs on it runs on. It can be activated again.</p>
        </AskFirst>
      ) : (
        <AskFirst word="Activate" small title={`Sell ${of.name}?`} act={{ path: `${path}/activate` }}>
          <p>Users can launch it at once. From then on it is not changed any more: to sell something else, copy it.</p>
          {typeof of.price_minor_per_hour !== "number" && <p>No price is set: set one first if it shall cost something.</p>}
          {of.total === 0 && <p>Nothing on the fleet matches it now, so that it is shown as sold out.</p>}
        </AskFirst>
      )}
    </div>
  );
}

export interface Filters {
  state?: string;
  sort?: string;
}

export function Skus({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const list = useInfiniteQuery(listQuery<Sku>(at("/api/v1/admin/skus"), { limit: 200 }, 5000));
  const set = (name: keyof Filters) => (value: string) => {
    const { [name]: _, ...others } = filters;
    onFilters(value ? { ...others, [name]: value } : others);
  };
  const shown = list.data?.filter((one) => !filters.state || one.state === filters.state);
  return (
    <Page title="SKUs" aside={<NewSku />}>
      <div className="filters">
        <Choice label="State" value={filters.state ?? ""} onChange={set("state")} options={STATES} />
      </div>
      <PagedTable
        query={{ ...list, data: shown } as typeof list}
        label="SKUs"
        columns={COLUMNS}
        id={(one) => one.id}
        sort={filters.sort}
        onSort={set("sort")}
        empty={
          filters.state ? (
            <FilteredEmpty what="SKU" onClear={() => onFilters({})} />
          ) : (
            <Empty title="Nothing is sold yet">
              <p>A SKU is what users choose from: some hardware with a size. Make one, look at what it matches, then activate it.</p>
            </Empty>
          )
        }
      />
    </Page>
  );
}
