// The door: sign in, and on the user console sign up. The work tab says what is not set up.
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { Tab, TabList, TabPanel, Tabs } from "react-aria-components";
import { Problem, ask } from "../../api/http";
import { useSignIn } from "../../api/me";
import { Button, Failed, Field, Notice, Page } from "../../ui/kit";

export function SignIn({ door, onIn }: { door: "console" | "operator"; onIn: () => void }) {
  return (
    <main className="door">
      <div className="card stack">
        <span className="brand">
          <img src="/icon.svg" alt="" />
          {door === "operator" ? "Muster operator" : "Muster"}
        </span>
        {door === "operator" ? (
          <Page title="Sign in">
            <p className="hint">This door is for staff. Users sign in at the user console.</p>
            <PasswordForm onIn={onIn} />
          </Page>
        ) : (
          <Page title="Welcome">
            <Tabs className="tabs">
              <TabList aria-label="Kind of account">
                <Tab id="personal">Personal</Tab>
                <Tab id="work">Work</Tab>
              </TabList>
              <TabPanel id="personal">
                <Personal onIn={onIn} />
              </TabPanel>
              <TabPanel id="work">
                <Notice title="No identity provider is configured">
                  <p>
                    Work accounts sign in through their organisation. Nobody has set a provider up on this installation:
                    use a personal account, or ask whoever runs Muster here.
                  </p>
                </Notice>
              </TabPanel>
            </Tabs>
          </Page>
        )}
      </div>
    </main>
  );
}

function Personal({ onIn }: { onIn: () => void }) {
  const [fresh, setFresh] = useState(false);
  return (
    <div className="stack">
      {fresh ? <SignUpForm onIn={onIn} /> : <PasswordForm onIn={onIn} />}
      <p>
        {fresh ? "You have an account?" : "New here?"}{" "}
        <Button look="plain" small onPress={() => setFresh(!fresh)}>
          {fresh ? "Sign in instead" : "Create an account"}
        </Button>
      </p>
    </div>
  );
}

function values(event: FormEvent<HTMLFormElement>): Record<string, string> {
  event.preventDefault();
  return Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]));
}

function PasswordForm({ onIn }: { onIn: () => void }) {
  const signIn = useSignIn();
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        const { username = "", password = "" } = values(event);
        signIn.mutate({ username, password }, { onSuccess: onIn });
      }}
    >
      <Field label="Username" name="username" autoComplete="username" autoCapitalize="none" required />
      <Field label="Password" name="password" type="password" autoComplete="current-password" required />
      {signIn.error && <Refused error={signIn.error} />}
      <Button look="primary" type="submit" isPending={signIn.isPending}>
        Sign in
      </Button>
    </form>
  );
}

function SignUpForm({ onIn }: { onIn: () => void }) {
  const signIn = useSignIn();
  const [key] = useState(() => crypto.randomUUID());
  const signUp = useMutation({
    mutationFn: (given: { username: string; password: string; email?: string }) =>
      ask("/api/v1/auth/personal/signup", { method: "POST", body: given, key: `${key}-${given.username}` }),
    onSuccess: (_, { username, password }) => signIn.mutate({ username, password }, { onSuccess: onIn }),
  });
  const error = signUp.error ?? signIn.error;
  const about = (field: string) =>
    error instanceof Problem ? error.body.errors?.find((one) => one.field === field)?.detail : undefined;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        const { username = "", password = "", email = "" } = values(event);
        signUp.mutate({ username, password, ...(email ? { email } : {}) });
      }}
    >
      <Field label="Username" name="username" autoComplete="username" autoCapitalize="none" required error={about("username")} />
      <Field label="Email (optional)" name="email" type="email" autoComplete="email" error={about("email")} />
      <Field
        label="Password"
        name="password"
        type="password"
        autoComplete="new-password"
        required
        hint="A long sentence is best."
        error={about("password")}
      />
      {error && <Refused error={error} />}
      <Button look="primary" type="submit" isPending={signUp.isPending || signIn.isPending}>
        Create account
      </Button>
    </form>
  );
}

/** A refusal takes the focus, so that it is read; what was typed stays. */
function Refused({ error }: { error: Error }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), [error]);
  return (
    <div ref={box} tabIndex={-1} id="refused">
      <Failed error={error} />
    </div>
  );
}
