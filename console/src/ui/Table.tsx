// Rows of a kind: sorted by their heads, drawn only where they are seen, and more of them asked for at the end.
// On a narrow screen each row stands by itself, its cells under their heads.
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useMemo, useRef, type ReactNode, type Ref } from "react";
import type { Rows } from "../api/lists";
import { looksAt } from "../api/sight";
import { Button } from "./Button";
import { Loaded } from "./States";

export interface Column<T> {
  head: string;
  cell: (row: T) => ReactNode;
  number?: boolean;
  /** What rows are put in order by; a column without is not sorted. */
  sort?: (row: T) => string | number | null | undefined;
}

export interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  /** `Head` ascending or `-Head` descending; where it is kept is the page's business, as a rule the address. */
  sort?: string | undefined;
  onSort?: ((sort: string) => void) | undefined;
  /** Rows there are in all, if more than these. */
  total?: number | undefined;
  /** Called when the last rows come near. */
  onEnd?: (() => void) | undefined;
  /** Called when scrolling has come to rest. */
  onRest?: (() => void) | undefined;
}

/** From so many rows on only those in sight are drawn. */
const MANY = 80;
const ROW_PX = 45;
/** So many rows before the end more are asked for. */
const NEAR = 40;

export function Table<T>({ label, columns, rows, id, sort, onSort, total, onEnd, onRest }: TableProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const sorted = useMemo(() => inOrder(rows, columns, sort), [rows, columns, sort]);
  const many = sorted.length > MANY;
  const seen = useVirtualizer({
    count: many ? sorted.length : 0,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const items = seen.getVirtualItems();
  const first = items[0];
  const last = items.at(-1);
  const atEnd = many && last !== undefined && last.index >= sorted.length - NEAR;
  const wanted = atEnd && onEnd !== undefined;
  useEffect(() => {
    if (wanted) onEnd();
  }, [wanted, sorted.length]);
  const shown = many ? items.map((item) => [item.index, sorted[item.index]] as const) : sorted.map((row, at) => [at, row] as const);
  const above = many ? (first?.start ?? 0) : 0;
  useEffect(() => looksAt(box, new Set(shown.map(([, row]) => row))));
  useEffect(() => () => looksAt(box, undefined), []);
  const moving = seen.isScrolling;
  const moved = useRef(false);
  useEffect(() => {
    if (!moving && moved.current) onRest?.();
    moved.current = moving;
  }, [moving]);
  const below = many ? seen.getTotalSize() - (last?.end ?? 0) : 0;
  return (
    <div className={`table-wrap ${many ? "many" : ""}`} tabIndex={0} role="region" aria-label={label} ref={box}>
      <table className="table" role="table" {...(many ? { "aria-rowcount": (total ?? sorted.length) + 1 } : {})}>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.head} column={column} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {above > 0 && <Space height={above} />}
          {shown.map(
            ([at, row]) => row !== undefined && <Row key={id(row)} row={row} columns={columns} {...(many ? { at, measure: seen.measureElement } : {})} />,
          )}
          {below > 0 && <Space height={below} />}
        </tbody>
      </table>
    </div>
  );
}

/** Drawn anew when it changed, and not whenever another comes into sight. */
const Row = memo(function Row<T>({ row, columns, at, measure }: { row: T; columns: Column<T>[]; at?: number; measure?: Ref<HTMLTableRowElement> }) {
  return (
    <tr role="row" {...(at === undefined ? {} : { "aria-rowindex": at + 2, ref: measure, "data-index": at })}>
      {columns.map((column) => (
        <td key={column.head} role="cell" data-head={column.head} className={column.number ? "number" : ""}>
          <div className="cell">{column.cell(row)}</div>
        </td>
      ))}
    </tr>
  );
}) as <T>(props: { row: T; columns: Column<T>[]; at?: number; measure?: Ref<HTMLTableRowElement> }) => ReactNode;

function Space({ height }: { height: number }) {
  return <tr aria-hidden="true" style={{ height }} />;
}

function Head<T>({ column, sort, onSort }: { column: Column<T>; sort: string | undefined; onSort: ((sort: string) => void) | undefined }) {
  const up = sort === column.head;
  const down = sort === `-${column.head}`;
  const look = column.number ? "number" : "";
  if (!column.sort || !onSort) {
    return (
      <th scope="col" className={look}>
        {column.head}
      </th>
    );
  }
  return (
    <th scope="col" className={look} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
      <button type="button" className="sort" onClick={() => onSort(up ? `-${column.head}` : down ? "" : column.head)}>
        {column.head}
        <span aria-hidden="true">{up ? "▲" : down ? "▼" : "↕"}</span>
      </button>
    </th>
  );
}

/** Rows by one column; what has no value comes last either way. */
export function inOrder<T>(rows: T[], columns: Column<T>[], sort: string | undefined): T[] {
  if (!sort) return rows;
  const down = sort.startsWith("-");
  const by = columns.find((column) => column.head === (down ? sort.slice(1) : sort))?.sort;
  if (!by) return rows;
  const words = new Intl.Collator(undefined, { numeric: true });
  return [...rows].sort((a, b) => {
    const [one, other] = [by(a), by(b)];
    if (one === null || one === undefined) return other === null || other === undefined ? 0 : 1;
    if (other === null || other === undefined) return -1;
    const order = typeof one === "number" && typeof other === "number" ? one - other : words.compare(String(one), String(other));
    return down ? -order : order;
  });
}

const number = (value: number) => value.toLocaleString();

/** A paged list with its states: loading, failed, empty, rows, and more to come. It can be sorted once it is whole. */
export function PagedTable<T>({
  query,
  empty,
  onSort,
  ...table
}: {
  query: UseInfiniteQueryResult<Rows<T>>;
  empty: ReactNode;
} & Omit<TableProps<T>, "rows" | "total" | "onEnd" | "onRest">) {
  const whole = !query.hasNextPage;
  const more = whole || query.isFetching ? undefined : () => void query.fetchNextPage();
  // What came into sight may have changed since it was asked for. In another order it stands on pages everywhere.
  const again = () => {
    if (query.isEnabled && !query.isFetching && !table.sort) void query.refetch();
  };
  return (
    <Loaded query={query}>
      {(rows) =>
        rows.length === 0 ? (
          <div className="card">{empty}</div>
        ) : (
          <>
            <Table {...table} rows={rows} total={rows.total} onEnd={more} onRest={again} onSort={whole ? onSort : undefined} />
            {!whole && (
              <div className="row">
                <Button isPending={query.isFetchingNextPage} onPress={() => more?.()}>
                  Show more
                </Button>
                <span className="hint">
                  {rows.total === undefined ? `${rows.length} shown.` : `${number(rows.length)} of ${number(rows.total)} shown.`}
                  {onSort && " They can be sorted once all are here."}
                </span>
              </div>
            )}
          </>
        )
      }
    </Loaded>
  );
}
