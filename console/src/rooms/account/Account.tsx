// The person's account: who, where signed in, and how to end what is not them.
import { useQuery } from "@tanstack/react-query";
import { oneQuery } from "../../api/lists";
import { meQuery } from "../../api/me";
import type { Paged, SignIn } from "../../api/types";
import { Ago, Badge, Loaded, Page } from "../../ui/kit";
import { AskFirst, Facts, Table } from "../../ui/parts";

export function Account() {
  const me = useQuery(meQuery);
  const sessions = useQuery(oneQuery<Paged<SignIn>>("/api/v1/account/sessions", 10_000));
  const others = sessions.data?.items.filter((one) => !one.current).length ?? 0;
  return (
    <Page title="Account">
      <section className="card stack">
        <h2>You</h2>
        <Loaded query={me}>
          {({ user, roles, tenant, default_project }) => (
            <Facts
              of={[
                ["Username", user.username],
                ["Email", user.email ?? "not given"],
                ["Roles", roles.join(", ") || "none"],
                ["Workspace", tenant?.name],
                ["Default project", default_project?.name],
                ["Id", <code key="id">{user.id}</code>],
              ]}
            />
          )}
        </Loaded>
      </section>
      <section className="stack">
        <div className="row apart">
          <h2>Where you are signed in</h2>
          <AskFirst
            word="End all others"
            title="End all other sign-ins?"
            act={{ path: "/api/v1/account/sessions/revoke-others" }}
            blocked={sessions.data && others === 0 ? "There is no other." : undefined}
          >
            <p>Browsers and commands signed in elsewhere must sign in again.</p>
          </AskFirst>
        </div>
        <Loaded query={sessions}>
          {({ items }) => (
            <Table
              label="Where you are signed in"
              rows={items}
              id={(row) => row.id}
              columns={[
                { head: "With", cell: (row) => <span className="clip" title={row.user_agent ?? ""}>{agent(row.user_agent)}</span> },
                { head: "From", cell: (row) => row.source_ip ?? "not known" },
                { head: "Kind", cell: (row) => (row.kind === "cookie" ? "Browser" : "Command or script") },
                { head: "Since", cell: (row) => <Ago at={row.created_at} /> },
                {
                  head: "Actions",
                  cell: (row) =>
                    row.current ? (
                      <Badge tone="good">This one</Badge>
                    ) : (
                      <AskFirst word="End" small title="End this sign-in?" act={{ path: `/api/v1/account/sessions/${row.id}`, method: "DELETE" }}>
                        <p>It must sign in again.</p>
                      </AskFirst>
                    ),
                },
              ]}
            />
          )}
        </Loaded>
      </section>
    </Page>
  );
}

/** The browser's name out of its long self-description. */
function agent(text: string | null | undefined): string {
  if (!text) return "not known";
  const known = /(Edg|Firefox|Chrome|Safari|muster|curl)\/[\d.]+/.exec(text);
  return known ? known[0].replace("/", " ") : text;
}
