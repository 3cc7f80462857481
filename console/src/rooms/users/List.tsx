// Everybody who can sign in, at either door.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { User } from "../../api/types";
import { Ago, type Column, Empty, FilteredEmpty, Go, Name, Page, PagedTable, Search, State, wordOf } from "../../ui/kit";
import { userPath } from "../paths";
import { NewUser } from "./NewUser";

const COLUMNS: Column<User>[] = [
  {
    head: "User",
    sort: (one) => one.username,
    cell: (one) => (
      <Go to={userPath(one.id)}>
        <Name of={one.username} />
      </Go>
    ),
  },
  { head: "State", sort: (one) => one.state, cell: (one) => <State of={one.state} /> },
  { head: "Roles", cell: (one) => one.roles.map(wordOf).join(", ") || "none" },
  { head: "E-mail", sort: (one) => one.email, cell: (one) => one.email ?? "none" },
  { head: "Since", sort: (one) => one.created_at, cell: (one) => <Ago at={one.created_at} /> },
];

export interface Filters {
  q?: string;
  sort?: string;
}

export function Users({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const list = useInfiniteQuery(listQuery<User>(at("/api/v1/admin/users"), { limit: 100, q: filters.q }, 10_000));
  const set = (name: keyof Filters) => (value: string) => {
    const { [name]: _, ...others } = filters;
    onFilters(value ? { ...others, [name]: value } : others);
  };
  return (
    <Page title="Users" aside={<NewUser />}>
      <div className="filters">
        <Search label="Part of the name" value={filters.q ?? ""} onChange={set("q")} />
      </div>
      <PagedTable
        query={list}
        label="Users"
        columns={COLUMNS}
        id={(one) => one.id}
        sort={filters.sort}
        onSort={set("sort")}
        empty={filters.q ? <FilteredEmpty what="user" onClear={() => onFilters({})} /> : <Empty title="Nobody is here yet" />}
      />
    </Page>
  );
}
