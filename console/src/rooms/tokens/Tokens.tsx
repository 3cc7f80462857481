// Tokens that let machines in. The secret is shown once, in the line to paste on the machine.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { listQuery, oneQuery } from "../../api/lists";
import type { Minted, Token } from "../../api/types";
import { Ago, Area, AskFirst, Button, type Column, CopyLine, Empty, Failed, Family, Field, Go, Id, Notice, Page, PagedTable, State, useAct, When } from "../../ui/kit";
import { labelsOf } from "../labels";
import { FAMILY } from "../nodes/List";
import { LIFECYCLE } from "../paths";

const COLUMNS: Column<Token>[] = [
  { head: "Token", cell: (one) => <Id of={one.id} /> },
  { head: "State", cell: (one) => <State of={one.state} /> },
  { head: "Used", number: true, cell: (one) => `${one.uses} of ${one.max_uses}` },
  { head: "Nodes it lets in", cell: (one) => (one.auto_approve ? "are approved at once" : "wait for approval") },
  { head: "Made by", cell: (one) => <Id of={one.created_by} /> },
  { head: "Made", cell: (one) => <Ago at={one.created_at} /> },
  { head: "Ends", cell: (one) => <When at={one.expires_at} /> },
  {
    head: "Actions",
    cell: (one) =>
      one.state === "active" ? (
        <AskFirst word="Revoke" small danger title="Revoke this token?" act={{ path: at("/api/v1/admin/bootstrap-tokens/{token_id}", { token_id: one.id }), method: "DELETE" }}>
          <p>No further machine can enrol with it. Nodes that are in stay in.</p>
        </AskFirst>
      ) : (
        <span className="hint">It lets nobody in.</span>
      ),
  },
];

export function Tokens() {
  const list = useInfiniteQuery(listQuery<Token>(at("/api/v1/admin/bootstrap-tokens"), {}, 5000));
  return (
    <Page title="Bootstrap tokens">
      <Family label="Lifecycle" links={FAMILY} />
      <Mint />
      <PagedTable
        query={list}
        label="Bootstrap tokens"
        columns={COLUMNS}
        id={(one) => one.id}
        empty={
          <Empty title="No token was made yet">
            <p>A token lets a machine ask to become a node. Make one above and paste its line on the machine.</p>
          </Empty>
        }
      />
    </Page>
  );
}

function Mint() {
  const [minutes, setMinutes] = useState("15");
  const [uses, setUses] = useState("1");
  const [labels, setLabels] = useState("");
  const [auto, setAuto] = useState(false);
  const [made, setMade] = useState<Minted>();
  const mint = useAct<Minted>(setMade);
  if (made) return <Made of={made} onDone={() => setMade(undefined)} />;
  const parsed = labelsOf(labels);
  const body = { ttl_s: Math.round(Number(minutes) * 60), max_uses: Number(uses), auto_approve: auto, labels: parsed };
  return (
    <section className="card stack" aria-labelledby="mint-head">
      <h2 id="mint-head">Make a token</h2>
      <div className="filters">
        <Field label="Good for, minutes (1 to 15)" type="number" min={1} max={15} value={minutes} onChange={(event) => setMinutes(event.target.value)} />
        <Field label="Machines it lets in" type="number" min={1} max={10_000} value={uses} onChange={(event) => setUses(event.target.value)} />
      </div>
      <details>
        <summary>Labels of its nodes</summary>
        <Area
          label="Labels"
          rows={3}
          value={labels}
          hint="One a line: rack=r12"
          error={parsed ? undefined : "Each line is a key, an equals sign and a value."}
          onChange={(event) => setLabels(event.target.value)}
        />
      </details>
      <label className="check">
        <input type="checkbox" checked={auto} onChange={(event) => setAuto(event.target.checked)} />
        Approve its nodes at once
      </label>
      {auto && <p className="hint">Whoever has the line gets a node in: nobody compares its fingerprint.</p>}
      {mint.error && <Failed error={mint.error} />}
      <div>
        <Button look="primary" isDisabled={!parsed} isPending={mint.isPending} onPress={() => mint.mutate({ path: at("/api/v1/admin/bootstrap-tokens"), body })}>
          Make token
        </Button>
      </div>
    </section>
  );
}

/** The agent that fits this installation, where it stands beside the coordinator. */
function Agent() {
  const list = useQuery(oneQuery(at("/api/v1/downloads")));
  const agent = list.data?.items.find((one) => one.name === "muster-agent");
  return (
    agent && (
      <a download={agent.name} href={agent.href}>
        Download {agent.name} for {agent.system}
      </a>
    )
  );
}

function Made({ of, onDone }: { of: Minted; onDone: () => void }) {
  return (
    <Notice tone="good" title="The token is made. Its secret is shown only now.">
      <p>
        Paste this on the machine, as root, then start its agent with muster-agent run. <Agent />
      </p>
      {of.command ? (
        <CopyLine text={of.command} what="the command" />
      ) : (
        <p>The answer with its secret was lost on the way. Revoke this token and make another.</p>
      )}
      <p className="hint">
        Good until <When at={of.expires_at} />. The machine then stands in the <Go to={LIFECYCLE}>queue</Go>, unless the token approves by itself.
      </p>
      <div>
        <Button small onPress={onDone}>
          I have it
        </Button>
      </div>
    </Notice>
  );
}
