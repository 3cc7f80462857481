// The action queue: what is wrong, worst first, each with the one next thing to do. Many of a kind fold into one.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { AttentionItem } from "../../api/types";
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
  const queue = useQuery(attentionQuery(family, every));
  return (
    <section className="stack tight" aria-labelledby="queue-head">
      <h2 id="queue-head">
        Needs action{" "}
        {queue.data && queue.data.total > 0 && (
          <span className="queue-count" aria-live="polite">
            {queue.data.total}
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
              <ul className="todos">{causesOf(items).map((group) => (group.length > FOLD ? <Fold key={group[0]?.cause} items={group} /> : group.map((one) => <Item key={one.id} of={one} />)))}</ul>
              {total > items.length && <p className="hint">{`${total - items.length} more are not shown; they come up as these are dealt with.`}</p>}
            </>
          )
        }
      </Loaded>
    </section>
  );
}

/** Items of one cause together, in the order the door gave. */
function causesOf(items: AttentionItem[]): AttentionItem[][] {
  const groups = new Map<string, AttentionItem[]>();
  for (const item of items) groups.set(item.cause, [...(groups.get(item.cause) ?? []), item]);
  return [...groups.values()];
}

function Fold({ items }: { items: AttentionItem[] }) {
  const [first] = items;
  if (!first) return null;
  const { tone, word } = SEVERITY[first.severity];
  return (
    <li className={`todo ${tone}`}>
      <details>
        <summary>
          <Badge tone={tone}>{word}</Badge>{" "}
          <strong>
            {items.length} {TOGETHER[first.cause] ?? `× ${first.cause}`}
          </strong>
        </summary>
        <ul className="todos">
          {items.map((one) => (
            <Item key={one.id} of={one} />
          ))}
        </ul>
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
          {of.correlation_id && (
            <p className="hint">
              Reference <code>{of.correlation_id}</code> <CopyButton text={of.correlation_id} what="the reference" />
            </p>
          )}
        </div>
        <Go className="button small" to={next.to}>
          {next.word}
          <span className="visually-hidden">: {of.title}</span>
        </Go>
      </div>
    </li>
  );
}
