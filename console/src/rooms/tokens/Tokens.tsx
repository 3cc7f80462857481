// Tokens that let machines in. The secret is shown once, in the line to paste on the machine.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { listQuery } from "../../api/lists";
import type { Minted, Token } from "../../api/types";
import { Field } from "../../ui/Field";
import { Ago, Button, CopyLine, Empty, Failed, Notice, Page } from "../../ui/kit";
import { AskFirst, Id, PagedTable, State, useAct, type Column } from "../../ui/parts";

const COLUMNS: Column<Token>[] = [
  { head: "Token", cell: (one) => <Id of={one.id} /> },
  { head: "State", cell: (one) => <State of={one.state} /> },
  { head: "Used", number: true, cell: (one) => `${one.uses} of ${one.max_uses}` },
  { head: "Nodes it lets in", cell: (one) => (one.auto_approve ? "are approved at once" : "wait for approval") },
  { head: "Made", cell: (one) => <Ago at={one.created_at} /> },
  { head: "Ends", cell: (one) => new Date(one.expires_at).toLocaleString() },
  {
    head: "Actions",
    cell: (one) =>
      one.state === "active" ? (
        <AskFirst word="Revoke" small danger title="Revoke this token?" act={{ path: `/api/v1/admin/bootstrap-tokens/${one.id}`, method: "DELETE" }}>
          <p>No further machine can enrol with it. Nodes that are in stay in.</p>
        </AskFirst>
      ) : null,
  },
];

export function Tokens() {
  const list = useInfiniteQuery(listQuery<Token>("/api/v1/admin/bootstrap-tokens", {}, 5000));
  return (
    <Page title="Bootstrap tokens">
      <Mint />
      <PagedTable query={list} label="Bootstrap tokens" columns={COLUMNS} id={(one) => one.id} empty={<Empty title="No token was made yet" />} />
    </Page>
  );
}

function Mint() {
  const [minutes, setMinutes] = useState("15");
  const [uses, setUses] = useState("1");
  const [auto, setAuto] = useState(false);
  const [made, setMade] = useState<Minted>();
  const mint = useAct<Minted>(setMade);
  if (made) {
    return (
      <Notice tone="good" title="The token is made. It is shown only now.">
        <p>Paste this on the machine, then start its agent with muster-agent run:</p>
        {made.command ? (
          <CopyLine text={made.command} what="the command" />
        ) : (
          <p>The answer with its secret was lost on the way. Revoke this token and make another.</p>
        )}
        <p className="hint">Good until {new Date(made.expires_at).toLocaleTimeString()}.</p>
        <div>
          <Button small onPress={() => setMade(undefined)}>
            I have it
          </Button>
        </div>
      </Notice>
    );
  }
  return (
    <section className="card stack">
      <h2>Make a token</h2>
      <div className="filters">
        <Field label="Good for, minutes (1 to 15)" type="number" min={1} max={15} value={minutes} onChange={(event) => setMinutes(event.target.value)} />
        <Field label="Machines it lets in" type="number" min={1} value={uses} onChange={(event) => setUses(event.target.value)} />
      </div>
      <label className="check">
        <input type="checkbox" checked={auto} onChange={(event) => setAuto(event.target.checked)} />
        Approve its nodes at once
      </label>
      {mint.error && <Failed error={mint.error} />}
      <div>
        <Button
          look="primary"
          isPending={mint.isPending}
          onPress={() =>
            mint.mutate({
              path: "/api/v1/admin/bootstrap-tokens",
              body: { ttl_s: Math.round(Number(minutes) * 60), max_uses: Number(uses), auto_approve: auto },
            })
          }
        >
          Make token
        </Button>
      </div>
    </section>
  );
}
