// Parts that many pages share: state, facts, tables, filters, tabs in the address, asking before acting.
import { useMutation, useQueryClient, type UseInfiniteQueryResult } from "@tanstack/react-query";
import { useId, useState, type ReactNode } from "react";
import { Tab, TabList, TabPanel, Tabs } from "react-aria-components";
import { ask } from "../api/http";
import { Badge, Button, Dialog, Empty, Failed, Loaded } from "./kit";
import { toneOf, wordOf } from "./state";

export function State({ of }: { of: string }) {
  return <Badge tone={toneOf(of)}>{wordOf(of)}</Badge>;
}

/** Names and what they are; what is null is left out. */
export function Facts({ of }: { of: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {of
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name} className="fact">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

export interface Column<T> {
  head: string;
  cell: (row: T) => ReactNode;
  number?: boolean;
}

/** Rows of a kind. On a narrow screen the table scrolls sideways in its own box. */
export function Table<T>({ label, columns, rows, id }: { label: string; columns: Column<T>[]; rows: T[]; id: (row: T) => string }) {
  return (
    <div className="table-wrap" tabIndex={0} role="region" aria-label={label}>
      <table className="table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.head} scope="col" className={column.number ? "number" : ""}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)}>
              {columns.map((column) => (
                <td key={column.head} className={column.number ? "number" : ""}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A paged list with its states: loading, failed, empty, rows, and more to come. */
export function PagedTable<T>({
  query,
  empty,
  ...table
}: {
  query: UseInfiniteQueryResult<T[]>;
  label: string;
  columns: Column<T>[];
  id: (row: T) => string;
  empty: ReactNode;
}) {
  return (
    <Loaded query={query}>
      {(rows) =>
        rows.length === 0 ? (
          <div className="card">{empty}</div>
        ) : (
          <>
            <Table {...table} rows={rows} />
            {query.hasNextPage && (
              <div className="row">
                <Button isPending={query.isFetchingNextPage} onPress={() => void query.fetchNextPage()}>
                  Show more
                </Button>
              </div>
            )}
          </>
        )
      }
    </Loaded>
  );
}

/** One choice of several, by the browser's own control. */
export function Choice({
  label,
  value,
  onChange,
  options,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  options: readonly (readonly [string, string])[];
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map(([key, word]) => (
          <option key={key} value={key}>
            {word}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Tabs whose chosen one stands in the address. */
export function TabsAt({
  label,
  at,
  onChange,
  tabs,
}: {
  label: string;
  at: string | undefined;
  onChange: (id: string) => void;
  tabs: [id: string, word: string, body: () => ReactNode][];
}) {
  const first = tabs[0]?.[0] ?? "";
  const chosen = tabs.some(([id]) => id === at) ? (at ?? first) : first;
  return (
    <Tabs className="tabs" selectedKey={chosen} onSelectionChange={(key) => onChange(String(key))}>
      <TabList aria-label={label}>
        {tabs.map(([id, word]) => (
          <Tab key={id} id={id}>
            {word}
          </Tab>
        ))}
      </TabList>
      {tabs.map(([id, , body]) => (
        <TabPanel key={id} id={id}>
          {body()}
        </TabPanel>
      ))}
    </Tabs>
  );
}

/** An act on one thing: asks the door, then everything on the page is asked for again. */
export function useAct<T>(onDone?: (answer: T) => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ path, method = "POST", body }: { path: string; method?: "POST" | "PATCH" | "DELETE" | "PUT"; body?: unknown }) =>
      ask<T>(path, { method, ...(method === "DELETE" ? {} : { body: body ?? {} }) }),
    onSuccess: async (answer) => {
      await client.invalidateQueries();
      onDone?.(answer);
    },
  });
}

/** A button that asks first, with what will happen; a failure is said in the dialog. */
export function AskFirst<T>({
  word,
  title,
  children,
  act,
  small,
  danger,
  blocked,
  onDone,
  ready = true,
}: {
  word: string;
  title: string;
  children: ReactNode;
  act: { path: string; method?: "POST" | "DELETE"; body?: unknown };
  small?: boolean;
  danger?: boolean;
  blocked?: string | undefined;
  onDone?: (answer: T) => void;
  ready?: boolean;
}) {
  const [open, setOpen] = useState(false);
  const done = useAct<T>((answer) => {
    setOpen(false);
    onDone?.(answer);
  });
  const look = danger ? "danger" : "ordinary";
  return (
    <>
      <Button look={look} small={small ?? false} blocked={blocked} onPress={() => setOpen(true)}>
        {word}
      </Button>
      <Dialog title={title} isOpen={open} onClose={() => setOpen(false)}>
        {children}
        {done.error && <Failed error={done.error} />}
        <div className="row">
          <Button look={danger ? "danger" : "primary"} isDisabled={!ready} isPending={done.isPending} onPress={() => done.mutate(act)}>
            {word}
          </Button>
          <Button onPress={() => setOpen(false)}>Cancel</Button>
        </div>
      </Dialog>
    </>
  );
}

/** An id in full for the eye of a machine, with a way to copy it. */
export function Id({ of }: { of: string }) {
  return <code title={of}>{of.length > 16 ? `${of.slice(0, 3)}…${of.slice(-6)}` : of}</code>;
}

export function NothingYet({ title, children }: { title: string; children?: ReactNode }) {
  return <Empty title={title}>{children}</Empty>;
}
