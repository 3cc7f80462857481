// The operations panel: every act by intent, with the reason in text beside what cannot be done now, and the
// progress of what was begun.
import { useState } from "react";
import { at } from "../../api/at";
import type { Node } from "../../api/types";
import { AskFirst, Button, Go, Notice } from "../../ui/kit";
import { EditNode } from "./Edit";
import { Progress } from "../operations/Progress";
import { RUNS, evidencePath } from "../paths";
import { INTENTS, wordingOf } from "./acts";

export function Panel({ of, onTab }: { of: Node; onTab: (tab: string) => void }) {
  const [begun, setBegun] = useState<string[]>([]);
  const [said, say] = useState<string>();
  const watched = [...new Set([...begun, ...of.running.map((one) => one.operation_id)])];
  const done = (word: string) => (answer: { operation_id?: string } | undefined) => {
    const operation = answer?.operation_id;
    if (operation) setBegun((before) => [operation, ...before]);
    else say(`${word}: done.`);
  };
  return (
    <section className="card stack" aria-labelledby="panel-head">
      <h2 id="panel-head">Operations</h2>
      <div className="intents">
        {INTENTS.map(([intent, title]) => {
          const acts = of.operations.filter((act) => act.intent === intent);
          if (acts.length === 0) return null;
          return (
            <section key={intent} className="intent" aria-label={title}>
              <h3>{title}</h3>
              {acts.map((act) => (
                <ActButton key={act.name} of={of} name={act.name} blocked={act.enabled ? undefined : (act.reason ?? "Not now.")} onDone={done} />
              ))}
            </section>
          );
        })}
        <section className="intent" aria-label="Evidence">
          <h3>Evidence</h3>
          <Button small look="plain" onPress={() => onTab("activity")}>
            Activity
          </Button>
          <Go className="button plain small" to={`${RUNS}?subject=${of.id}`}>
            Runs
          </Go>
          <Go className="button plain small" to={evidencePath({ target: of.id })}>
            Audit log
          </Go>
        </section>
      </div>
      {said && <Notice tone="good" title={said} />}
      {of.scheduling === "draining" && (
        <Notice tone="busy" title="It is draining.">
          <p>It is in maintenance when the last allocation has left. The Slices tab shows which stand on it.</p>
        </Notice>
      )}
      {watched.map((id) => (
        <Progress key={id} of={id} onDismiss={begun.includes(id) ? () => setBegun((all) => all.filter((one) => one !== id)) : undefined} />
      ))}
    </section>
  );
}

function ActButton({
  of,
  name,
  blocked,
  onDone,
}: {
  of: Node;
  name: string;
  blocked: string | undefined;
  onDone: (word: string) => (answer: { operation_id?: string } | undefined) => void;
}) {
  if (name === "update") return <EditNode of={of} blocked={blocked} onDone={() => onDone("Name and labels")(undefined)} />;
  const { word, title, danger, typed, body } = wordingOf(name, of);
  return (
    <AskFirst<{ operation_id?: string }>
      word={word}
      title={title}
      small
      danger={danger ?? false}
      blocked={blocked}
      {...(typed ? { typed: of.name } : {})}
      act={{ path: `${at("/api/v1/admin/nodes/{node_id}", { node_id: of.id })}/${name}` }}
      onDone={onDone(word)}
    >
      {body}
    </AskFirst>
  );
}
