// The first lines of the command line and of the API, ready to paste for this very installation.
import { useQuery } from "@tanstack/react-query";
import { meQuery } from "../../api/me";
import { CopyLine, Family, Go, Page } from "../../ui/kit";
import { DEVELOPER } from "./family";

export function Docs() {
  const me = useQuery(meQuery);
  const name = me.data?.user.username ?? "you";
  const url = location.origin;
  const lines = [
    [`muster login --url ${url} --username ${name}`, "Signs the command line in. It asks for your password."],
    ["muster keys add ~/.ssh/id_ed25519.pub", "A key, for plain ssh. ssh-keygen -t ed25519 makes one."],
    ["muster launch --sku h100 --name first --wait", "Launches and waits until it is up."],
    ["muster terminal first", "A shell. exit ends it; Enter ~ . leaves it running, and the same command comes back to it."],
    ["muster exec first -- nvidia-smi", "Runs one command and keeps its exit code."],
    ["muster ssh first", "Plain ssh, through Muster: the machine has no public address."],
    ["muster release first", "Gives the hardware back."],
  ] as const;
  const api = [
    [`curl -H "Authorization: Bearer $KEY" ${url}/api/v1/workloads`, "What runs."],
    [
      `curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -H "Idempotency-Key: $(uuidgen)" -d '{"sku":"h100","command":["true"],"release_on_exit":true}' ${url}/api/v1/allocations`,
      "Launches a command that gives its hardware back. Sent again with the same key, it is done once.",
    ],
  ] as const;
  return (
    <Page title="Getting started">
      <Family label="Developer" links={DEVELOPER} />
      <section className="card stack">
        <h2>The command line</h2>
        <p>
          <Go to="/developer/downloads">Download</Go> the <code>muster</code> program that fits this installation, then:
        </p>
        <Lines of={lines} />
      </section>
      <section className="card stack">
        <h2>The API</h2>
        <p>
          Everything this console does goes through the <Go to="/developer/api">API</Go>. Make an <Go to="/access/api-keys">API key</Go>, then:
        </p>
        <CopyLine text="export KEY=…" what="the line" />
        <Lines of={api} />
        <p>
          Requests that must not happen twice carry an <code>Idempotency-Key</code>. Refusals are <code>application/problem+json</code> with a{" "}
          <code>code</code> for programs, a sentence for people, and a <code>correlation_id</code> that stands in every log.
        </p>
      </section>
    </Page>
  );
}

function Lines({ of }: { of: readonly (readonly [line: string, why: string])[] }) {
  return (
    <dl className="lines">
      {of.map(([line, why]) => (
        <div key={line} className="stack tight">
          <dt>{why}</dt>
          <dd>
            <CopyLine text={line} what="the line" />
          </dd>
        </div>
      ))}
    </dl>
  );
}
