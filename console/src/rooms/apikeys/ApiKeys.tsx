// The API keys of the person: made with the password, shown once, ended at once.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { Problem } from "../../api/http";
import { oneQuery } from "../../api/lists";
import type { ApiKeyMade } from "../../api/types";
import { Ago, AskFirst, Button, Choice, CopyLine, Dialog, Empty, Failed, Family, Field, Loaded, Name, Notice, Page, StepUp, Table, When, needsStepUp, useAct } from "../../ui/kit";
import { ACCESS } from "../projects/family";

const LIVES = [
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "A year"],
] as const;

export function ApiKeys() {
  const list = useQuery(oneQuery(at("/api/v1/api-keys")));
  return (
    <Page title="API keys" aside={<NewKey />}>
      <Family label="Access" links={ACCESS} />
      <p className="hint">A key does at this door what you may do, except what asks for your password. Send it as a bearer token.</p>
      <Loaded query={list}>
        {({ items }) =>
          items.length === 0 ? (
            <div className="card">
              <Empty title="No API key yet">
                <p>Scripts sign in with a key, so that your password stays yours.</p>
              </Empty>
            </div>
          ) : (
            <Table
              label="API keys"
              rows={items}
              id={(one) => one.id}
              columns={[
                { head: "Name", cell: (one) => <Name of={one.name} /> },
                { head: "Made", cell: (one) => <Ago at={one.created_at} /> },
                { head: "Good until", cell: (one) => <When at={one.expires_at} /> },
                {
                  head: "Actions",
                  cell: (one) => (
                    <AskFirst word="Revoke" small danger title={`Revoke ${one.name}?`} act={{ path: `/api/v1/api-keys/${one.id}`, method: "DELETE" }}>
                      <p>Whatever uses it is refused from now on.</p>
                    </AskFirst>
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
    </Page>
  );
}

function NewKey() {
  const [open, setOpen] = useState(false);
  const [asking, ask] = useState(false);
  const [name, setName] = useState("");
  const [days, setDays] = useState("90");
  const [made, setMade] = useState<ApiKeyMade>();
  const make = useAct<ApiKeyMade>(setMade);
  const send = () =>
    make.mutate({ path: "/api/v1/api-keys", body: { name, expires_in_days: Number(days) } }, { onError: (error) => needsStepUp(error) && ask(true) });
  const close = () => {
    setOpen(false);
    setMade(undefined);
    setName("");
    make.reset();
  };
  const said = make.error instanceof Problem ? make.error.body.errors?.[0]?.detail : undefined;
  return (
    <>
      <Button look="primary" onPress={() => setOpen(true)}>
        New API key
      </Button>
      <Dialog title={made ? "Your new key" : "New API key"} isOpen={open && !asking} onClose={close}>
        {made ? (
          <>
            <Notice tone="warn" title="This is the only time it is shown" />
            <CopyLine text={made.token} what="the key" />
            <CopyLine text={`curl -H 'Authorization: Bearer ${made.token}' ${location.origin}/api/v1/me`} what="an example" />
            <div className="row end">
              <Button look="primary" onPress={close}>
                I have it
              </Button>
            </div>
          </>
        ) : (
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              send();
            }}
          >
            <Field label="Name" value={name} required maxLength={100} autoFocus onChange={(event) => setName(event.target.value)} hint="What it is for." error={said} />
            <Choice label="Good for" value={days} onChange={setDays} options={LIVES} />
            {make.error && !said && !needsStepUp(make.error) && <Failed error={make.error} />}
            <div className="row end">
              <Button onPress={close}>Cancel</Button>
              <Button look="primary" type="submit" isPending={make.isPending}>
                Make it
              </Button>
            </div>
          </form>
        )}
      </Dialog>
      <StepUp
        isOpen={open && asking}
        onClose={() => ask(false)}
        onDone={() => {
          ask(false);
          send();
        }}
      />
    </>
  );
}
