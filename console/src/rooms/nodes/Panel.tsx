// The operations panel: every act by intent, with the reason in text beside what cannot be done now, and the
// progress of what was begun.
import { useState } from "react";
import { at } from "../../api/at";
import type { Node } from "../../api/types";
import { AskFirst, Button, Choice, Field, Go, Notice, When } from "../../ui/kit";
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
    <section className="card stack" aria-labelledby="panel-head" tabIndex={-1}>
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
          <p>
            It is in maintenance when the last allocation has left.{" "}
            {of.drain_deadline && (
              <>
                What still runs is released <When at={of.drain_deadline} />.{" "}
              </>
            )}
            The Slices tab shows which stand on it.
          </p>
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
  if (name === "drain") return <Drain of={of} blocked={blocked} onDone={onDone("Drain")} />;
  if (name === "reactivate") return <Reactivate of={of} blocked={blocked} onDone={onDone("Reactivate")} />;
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

interface One {
  of: Node;
  blocked: string | undefined;
  onDone: (answer: { operation_id?: string } | undefined) => void;
}

/** How long a drain leaves to what runs. */
const DEADLINES = [
  ["", "As long as it takes"],
  ["0", "None: release at once"],
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["86400", "1 day"],
] as const;

function Drain({ of, blocked, onDone }: One) {
  const [deadline, setDeadline] = useState("");
  return (
    <AskFirst<{ operation_id?: string }>
      word="Drain"
      title={`Drain ${of.name}?`}
      small
      blocked={blocked}
      act={{
        path: at("/api/v1/admin/nodes/{node_id}/drain", { node_id: of.id }),
        body: deadline === "" ? {} : { deadline_s: Number(deadline) },
      }}
      onDone={onDone}
    >
      <p>Nothing new is placed on it. It is in maintenance when the last workload has left. Uncordon calls it off.</p>
      <Choice label="Time for what runs" value={deadline} onChange={setDeadline} options={DEADLINES} />
      <p className="hint" role="status">
        {deadline === "" ? "What runs there runs on until its owner ends it." : "What still runs then is released: its programs end, its disk is deleted, and its owner sees why."}
      </p>
    </AskFirst>
  );
}

function Reactivate({ of, blocked, onDone }: One) {
  const [reason, setReason] = useState("");
  return (
    <AskFirst<{ operation_id?: string }>
      word="Reactivate"
      title={`Trust ${of.name} again?`}
      small
      blocked={blocked}
      act={{ path: at("/api/v1/admin/nodes/{node_id}/reactivate", { node_id: of.id }), body: reason.trim() ? { reason: reason.trim() } : {} }}
      onDone={onDone}
    >
      {of.health_reason && <p>It is quarantined: {of.health_reason}.</p>}
      <p>The machine that is connected is the node. If none is, the next one that comes with its key is.</p>
      <Field label="Reason" maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} hint="Kept in the audit log." />
    </AskFirst>
  );
}
