// Who the person is here.
import { useQuery } from "@tanstack/react-query";
import { meQuery } from "../../api/me";
import { CopyButton, Facts, Family, Loaded, Page, When, wordOf } from "../../ui/kit";
import { ACCOUNT } from "./family";

export function Profile() {
  const me = useQuery(meQuery);
  return (
    <Page title="Profile">
      <Family label="Account" links={ACCOUNT} />
      <section className="card stack narrow">
        <Loaded query={me}>
          {({ user, roles, tenant, default_project }) => (
            <Facts
              of={[
                ["Username", user.username],
                ["Email", user.email ?? "not given"],
                ["Roles", roles.map(wordOf).join(", ") || "none"],
                ["Workspace", tenant?.name],
                ["Default project", default_project?.name],
                ["Here since", <When key="since" at={user.created_at} />],
                [
                  "Id",
                  <span key="id" className="row tight">
                    <code className="break">{user.id}</code> <CopyButton text={user.id} what="your id" />
                  </span>,
                ],
              ]}
            />
          )}
        </Loaded>
      </section>
    </Page>
  );
}
