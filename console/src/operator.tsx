// The operator console: its pages and where they stand.
import { createRoute, redirect } from "@tanstack/react-router";
import { Account } from "./rooms/account/Account";
import { Operations } from "./rooms/tasks/List";
import { Run } from "./rooms/tasks/Run";
import { textSearch, trunk } from "./routes";
import { start } from "./start";

const { root, login, inside } = trunk(
  "Muster operator",
  [
    { label: "Evidence", links: [{ to: "/admin/operations", label: "Operations" }] },
    { label: "You", links: [{ to: "/account", label: "Account" }] },
  ],
  "operator",
);

const parent = { getParentRoute: () => inside };

const home = createRoute({
  ...parent,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/admin/operations" as string });
  },
});
const operations = createRoute({
  ...parent,
  path: "/admin/operations",
  validateSearch: textSearch("state"),
  component: function At() {
    const navigate = operations.useNavigate();
    return (
      <Operations
        title="Operations"
        to="/admin/operations/$id"
        state={operations.useSearch().state}
        onState={(state) => void navigate({ search: state ? { state } : {} })}
      />
    );
  },
});
const operation = createRoute({
  ...parent,
  path: "/admin/operations/$id",
  component: function At() {
    const navigate = operation.useNavigate();
    const { id } = operation.useParams();
    return <Run key={id} id={id} subjectTo={() => undefined} onGo={(next) => void navigate({ params: { id: next } })} />;
  },
});
const account = createRoute({ ...parent, path: "/account", component: Account });

start(root.addChildren([login, inside.addChildren([home, operations, operation, account])]));
