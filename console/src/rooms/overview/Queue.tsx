// The action queue: what is wrong, worst first, each with the one next thing to do. Many of a kind fold into one.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { unlessHeld } from "../../api/live";
import type { AttentionItem } from "../../api/types";
import { Ack } from "./Ack";
import { Ago, Badge, CopyButton, Go, Loaded } from "../../ui/kit";
import { SEVERITY, TOGETHER, nextOf } from "./attention";
import "./overview.css";

/** From so many items of one cause on they are shown folded. */
const FOLD = 4;

/** The queue of one family, or of all; asked for every `every` ms, since silence is told by nobody. */
export function attentionQuery(family: "lifecycle" | "allocations" | undefined, every: number | false) {
  return { ...oneQuery(at("/api/v1/admin/attention", undefined, { family })), refetchInterval: every };
}

export function Queue({ family, every }: { family?: "lifecycle" | "allocations"; every: number | false }) {
  const queue = useQuery({ ...attentionQuery(family, every), enabled: unlessHeld(every === false) });
  return (
    <section className="stack tight" aria-labelledby="queue-head">
      <h2 id="queue-head">
        Needs action{" "}
        {queue.data && queue.data.unseen > 0 && (
          <span className="queue-count" aria-live="polite">
            {queue.data.unseen}
            <span className="visually-hidden"> to look at</span>
          </span>
        )}
      </h2>
      <Loaded query={queue} lines={2}>
        {({ items, total }) =>
          items.length === 0 ? (
            <p className="all-clear">
              <Badge tone="good">All clear</Badge> Nothing waits for an operator.
            </p>
          ) : (
            <>
              <Todos items={items.filter((one) => !one.seen)} cut={total > items.length ? items.at(-1) : undefined} />
              <Seen items={items.filter((one) => one.seen)} all={items.every((one) => one.seen)} />
              {total > items.length && <p className="hint">{`${total - items.length} more are not shown; they come up as these are dealt with.`}</p>}
            </>
          )
        }
      </Loaded>
    </section>
  );
}

/** `cut`: the last item that came, where there are more. */
function Todos({ items, cut }: { items: AttentionItem[]; cut?: AttentionItem | undefined }) {
  if (items.length === 0) return null;
  return (
    <ul className="todos">
      {causesOf(items).map((group) =>
        group.length > FOLD ? <Fold key={group[0]?.cause} items={group} more={cut !== undefined && group.includes(cut)} /> : group.map((one) => <Item key={one.id} of={one} />),
      )}
    </ul>
  );
}

/** What somebody looks after already: it lasts, but does not stand in the way of the rest. */
function Seen({ items, all }: { items: AttentionItem[]; all: boolean }) {
  if (items.length === 0) return null;
  return (
    <details>
      <summary>{all ? `Nothing new. ${items.length} seen and not over` : `${items.length} more, seen and not over`}</summary>
      <Todos items={items} />
    </details>
  );
}

/** Items of one cause together, in the order the door gave. */
function causesOf(items: AttentionItem[]): AttentionItem[][] {
  const groups = new Map<string, AttentionItem[]>();
  for (const item of items) groups.set(item.cause, [...(groups.get(item.cause) ?? []), item]);
  return [...groups.values()];
}

function Fold({ items, more }: { items: AttentionItem[]; more: boolean }) {
  const [open, setOpen] = useState(false);
  const [first] = items;
  if (!first) return null;
  const { tone, word } = SEVERITY[first.severity];
  return (
    <li className={`todo ${tone}`}>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <Badge tone={tone}>{word}</Badge>{" "}
          <strong>
            {items.length}
            {more && " and more"} {TOGETHER[first.cause] ?? `× ${first.cause}`}
          </strong>
        </summary>
        {/* Hundreds of them are drawn only when they are looked at. */}
        {open && (
          <ul className="todos">
            {items.map((one) => (
              <Item key={one.id} of={one} />
            ))}
          </ul>
        )}
      </details>
    </li>
  );
}

function Item({ of }: { of: AttentionItem }) {
  const { tone, word } = SEVERITY[of.severity];
  const next = nextOf(of);
  return (
    <li className={`todo ${tone}`}>
      <div className="row apart">
        <div className="stack tight grow">
          <div className="row tight">
            <Badge tone={tone}>{word}</Badge>
            <strong className="anywhere">{of.title}</strong>
            {of.since && (
              <span className="hint">
                since <Ago at={of.since} />
              </span>
            )}
          </div>
          {of.detail && <p className="hint anywhere">{of.detail}</p>}
          {of.seen && (
            <p className="hint anywhere">
              Seen by {of.seen.by} <Ago at={of.seen.at} />
              {of.seen.note && `: ${of.seen.note}`}
            </p>
          )}
          {of.correlation_id && (
            <p className="hint">
              Reference <code>{of.correlation_id}</code> <CopyButton text={of.correlation_id} what="the reference" />
            </p>
          )}
        </div>
        <div className="row tight">
          <Ack of={of} />
          <Go className="button small" to={next.to}>
            {next.word}
            <span className="visually-hidden">: {of.title}</span>
          </Go>
        </div>
      </div>
    </li>
  );
}
