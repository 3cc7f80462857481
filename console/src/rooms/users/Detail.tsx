// One person: what they may be, whether they may sign in, where they are signed in, and what they did.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { meQuery } from "../../api/me";
import type { Paged, SignIn, User } from "../../api/types";
import { Ago, AskFirst, Button, CopyButton, Facts, Failed, Go, Loaded, Loading, Page, State, Table, say, useAct, wordOf } from "../../ui/kit";
import { ALLOCATIONS, USERS, evidencePath } from "../paths";
import { CONSOLE_ROLES, RoleBoxes, STAFF_ROLES } from "./roles";
import "./users.css";

const CRUMBS = [[USERS, "Users"]] as const;

export function UserPage({ id }: { id: string }) {
  const one = useQuery(oneQuery<User>(at("/api/v1/admin/users/{user_id}", { user_id: id }), 10_000));
  if (!one.data) {
    return (
      <Page title="User" crumbs={CRUMBS}>
        {one.error ? <Failed error={one.error} retry={() => void one.refetch()} /> : <Loading />}
      </Page>
    );
  }
  const it = one.data;
  return (
    <Page title={it.username} crumbs={CRUMBS}>
      <div className="row" role="status">
        <State of={it.state} />
      </div>
      <div className="card">
        <Facts
          of={[
            ["Roles", it.roles.map(wordOf).join(", ") || "none"],
            ["E-mail", it.email],
            ["Tenant", it.tenant_id ?? "none: staff only"],
            ["Since", <Ago key="since" at={it.created_at} />],
            ["Id", <span key="id"><code className="break">{it.id}</code> <CopyButton text={it.id} what="the id" /></span>],
          ]}
        />
      </div>
      <Acts of={it} />
      <Roles key={it.roles.join(" ")} of={it} />
      <SignIns of={it.id} />
    </Page>
  );
}

function useMay(verb: string): string | undefined {
  const me = useQuery(meQuery);
  return me.data && !me.data.capabilities.includes(verb) ? "Your role does not allow this." : undefined;
}

function Acts({ of }: { of: User }) {
  const path = at("/api/v1/admin/users/{user_id}", { user_id: of.id });
  const blocked = useMay("users.disable");
  return (
    <section className="card stack" aria-labelledby="person-acts">
      <h2 id="person-acts">Operations</h2>
      <div className="row">
        <AskFirst word="End all sign-ins" title={`Sign ${of.username} out everywhere?`} blocked={blocked} act={{ path: `${path}/end-sessions` }}>
          <p>Their tabs and scripts must sign in again. What runs, runs on.</p>
        </AskFirst>
        {of.state === "active" ? (
          <AskFirst word="Disable" danger title={`Keep ${of.username} from signing in?`} blocked={blocked} typed={of.username} act={{ path: `${path}/disable` }}>
            <p>They are signed out everywhere and cannot sign in. What they run, runs on.</p>
          </AskFirst>
        ) : (
          <AskFirst word="Enable" title={`Let ${of.username} sign in again?`} blocked={blocked} act={{ path: `${path}/enable` }}>
            <p>With the password and the roles they had.</p>
          </AskFirst>
        )}
        <Go className="button plain" to={`${ALLOCATIONS}?user_id=${of.id}`}>
          Allocations
        </Go>
        <Go className="button plain" to={evidencePath({ actor: of.id })}>
          What they did
        </Go>
        <Go className="button plain" to={evidencePath({ target: of.id })}>
          What was done to them
        </Go>
      </div>
    </section>
  );
}

function Roles({ of }: { of: User }) {
  const [roles, setRoles] = useState(of.roles);
  const blocked = useMay("users.update");
  const save = useAct<User>((user) => say(`${user.username} is ${user.roles.map(wordOf).join(", ")} from now on.`));
  const same = [...roles].sort().join() === [...of.roles].sort().join();
  return (
    <section className="card stack" aria-labelledby="roles-head">
      <h2 id="roles-head">Roles</h2>
      {of.tenant_id && <RoleBoxes title="At the user console" roles={CONSOLE_ROLES} chosen={roles} onChange={setRoles} />}
      <RoleBoxes title="At the operator console" roles={STAFF_ROLES} chosen={roles} onChange={setRoles} />
      {save.error && <Failed error={save.error} />}
      <div>
        <Button
          look="primary"
          blocked={blocked ?? (roles.length === 0 ? "Give at least one role, or disable the person." : same ? "Nothing was changed." : undefined)}
          isPending={save.isPending}
          onPress={() => save.mutate({ path: at("/api/v1/admin/users/{user_id}", { user_id: of.id }), method: "PATCH", body: { roles } })}
        >
          Save roles
        </Button>
      </div>
    </section>
  );
}

function SignIns({ of }: { of: string }) {
  const list = useQuery(oneQuery<Paged<SignIn>>(at("/api/v1/admin/users/{user_id}/sessions", { user_id: of }), 10_000));
  return (
    <section className="stack tight" aria-labelledby="sign-ins-head">
      <h2 id="sign-ins-head">Signed in</h2>
      <Loaded query={list} lines={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="hint">Nowhere now.</p>
          ) : (
            <Table
              label="Live sign-ins"
              rows={items}
              id={(one) => one.id}
              columns={[
                { head: "Door", cell: (one) => one.door },
                { head: "By", cell: (one) => (one.kind === "bearer" ? "a script or the command line" : "a browser") },
                { head: "Program", cell: (one) => <span className="clip" title={one.user_agent ?? ""}>{one.user_agent ?? "not said"}</span> },
                { head: "From", cell: (one) => one.source_ip ?? "not known" },
                { head: "Since", cell: (one) => <Ago at={one.created_at} /> },
              ]}
            />
          )
        }
      </Loaded>
    </section>
  );
}
