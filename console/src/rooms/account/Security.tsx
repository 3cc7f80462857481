// The password, and what there is beside it.
import { useState, type FormEvent } from "react";
import { Problem } from "../../api/http";
import { Button, Failed, Family, Field, Go, Page, StepUp, needsStepUp, say, useAct } from "../../ui/kit";
import { ACCOUNT } from "./family";

export function Security({ scripts }: { scripts: boolean }) {
  const [current, setCurrent] = useState("");
  const [fresh, setFresh] = useState("");
  const [asking, ask] = useState(false);
  const change = useAct(() => {
    setCurrent("");
    setFresh("");
    say("The password is changed, and your other sign-ins are ended.");
  });
  const send = () =>
    change.mutate({ path: "/api/v1/account/security/password", body: { current, new: fresh } }, { onError: (error) => needsStepUp(error) && ask(true) });
  const about = change.error instanceof Problem ? change.error.body.errors?.[0]?.detail : undefined;
  return (
    <Page title="Security">
      <Family label="Account" links={ACCOUNT} />
      <form
        className="card stack narrow"
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          send();
        }}
      >
        <h2>Change the password</h2>
        <Field label="Password now" type="password" autoComplete="current-password" required value={current} onChange={(event) => setCurrent(event.target.value)} />
        <Field
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          value={fresh}
          onChange={(event) => setFresh(event.target.value)}
          hint="A long sentence is best. Your other sign-ins are ended; API keys go on."
          error={about}
        />
        {change.error && !about && !needsStepUp(change.error) && <Failed error={change.error} />}
        <div>
          <Button look="primary" type="submit" isPending={change.isPending}>
            Change password
          </Button>
        </div>
      </form>
      {scripts && (
        <section className="card stack narrow">
          <h2>Other ways in</h2>
          <p>
            Scripts use <Go to="/access/api-keys">API keys</Go>, workloads are reached with <Go to="/access/credentials">SSH keys</Go>.
          </p>
        </section>
      )}
      <StepUp
        isOpen={asking}
        onClose={() => ask(false)}
        onDone={() => {
          ask(false);
          send();
        }}
      />
    </Page>
  );
}
