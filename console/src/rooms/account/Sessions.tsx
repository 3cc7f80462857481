// Where the person is signed in, and how to end what is not them.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { Ago, AskFirst, Badge, Family, Loaded, Page, Table } from "../../ui/kit";
import { ACCOUNT } from "./family";

export function Sessions() {
  const sessions = useQuery(oneQuery(at("/api/v1/account/sessions"), 10_000));
  const others = sessions.data?.items.filter((one) => !one.current).length ?? 0;
  return (
    <Page
      title="Sessions"
      aside={
        <AskFirst
          word="End all others"
          title="End all other sign-ins?"
          act={{ path: "/api/v1/account/sessions/revoke-others" }}
          blocked={sessions.data && others === 0 ? "There is no other." : undefined}
        >
          <p>Browsers and commands signed in elsewhere must sign in again.</p>
        </AskFirst>
      }
    >
      <Family label="Account" links={ACCOUNT} />
      <Loaded query={sessions}>
        {({ items }) => (
          <Table
            label="Where you are signed in"
            rows={items}
            id={(row) => row.id}
            columns={[
              {
                head: "With",
                cell: (row) => (
                  <span className="clip" title={row.user_agent ?? ""}>
                    {agent(row.user_agent)}
                  </span>
                ),
              },
              { head: "From", cell: (row) => row.source_ip ?? "not known" },
              { head: "Kind", cell: (row) => (row.kind === "cookie" ? "Browser" : "Command or script") },
              { head: "Since", cell: (row) => <Ago at={row.created_at} /> },
              { head: "Last used", cell: (row) => <Ago at={row.refreshed_at} /> },
              {
                head: "End",
                cell: (row) =>
                  row.current ? (
                    <Badge tone="good">This one</Badge>
                  ) : (
                    <AskFirst word="End" small danger title="End this sign-in?" act={{ path: `/api/v1/account/sessions/${row.id}`, method: "DELETE" }}>
                      <p>Whoever uses it must sign in again.</p>
                    </AskFirst>
                  ),
              },
            ]}
          />
        )}
      </Loaded>
    </Page>
  );
}

/** The browser's name out of its long self-description. */
function agent(text: string | null | undefined): string {
  if (!text) return "not known";
  const known = /(Edg|Firefox|Chrome|Safari|muster|curl)\/[\d.]+/.exec(text);
  return known ? known[0].replace("/", " ") : text;
}
