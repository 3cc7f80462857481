// The operator console: its pages and where they stand.
import { createRoute, redirect } from "@tanstack/react-router";
import { Allocations } from "./rooms/allocations/List";
import { Audit } from "./rooms/audit/Audit";
import { NodePage } from "./rooms/nodes/Detail";
import { Nodes } from "./rooms/nodes/List";
import { Skus } from "./rooms/skus/Skus";
import { Operations } from "./rooms/tasks/List";
import { Run } from "./rooms/tasks/Run";
import { Tokens } from "./rooms/tokens/Tokens";
import { accountRoutes, textSearch, trunk } from "./routes";
import { start } from "./start";

const { root, login, inside } = trunk(
  "Muster operator",
  [
    { label: "Fleet", links: [{ to: "/nodes", label: "Nodes" }, { to: "/bootstrap-tokens", label: "Bootstrap tokens" }] },
    { label: "Use", links: [{ to: "/allocations", label: "Allocations" }, { to: "/skus", label: "SKUs" }] },
    { label: "Evidence", links: [{ to: "/admin/operations", label: "Operations" }, { to: "/audit", label: "Audit log" }] },
    { label: "You", links: [{ to: "/account/profile", label: "Account", also: ["/account"] }] },
  ],
  "operator",
);

const parent = { getParentRoute: () => inside };

const home = createRoute({
  ...parent,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/nodes" as string });
  },
});
const nodes = createRoute({ ...parent, path: "/nodes", component: Nodes });
const node = createRoute({
  ...parent,
  path: "/nodes/$id",
  validateSearch: textSearch("tab"),
  component: function At() {
    const navigate = node.useNavigate();
    const { id } = node.useParams();
    return <NodePage key={id} id={id} tab={node.useSearch().tab} onTab={(tab) => void navigate({ search: { tab }, replace: true })} />;
  },
});
const tokens = createRoute({ ...parent, path: "/bootstrap-tokens", component: Tokens });
const skus = createRoute({ ...parent, path: "/skus", component: Skus });
const allocations = createRoute({
  ...parent,
  path: "/allocations",
  validateSearch: textSearch("state"),
  component: function At() {
    const navigate = allocations.useNavigate();
    return <Allocations state={allocations.useSearch().state} onState={(state) => void navigate({ search: state ? { state } : {} })} />;
  },
});
const audit = createRoute({
  ...parent,
  path: "/audit",
  validateSearch: textSearch("action", "target", "outcome"),
  component: function At() {
    const navigate = audit.useNavigate();
    return <Audit filters={audit.useSearch()} onFilters={(search) => void navigate({ search })} />;
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
    return <Run key={id} id={id} subjectTo={({ subject }) => (subject.kind === "node" ? `/nodes/${subject.id}` : undefined)} onGo={(next) => void navigate({ params: { id: next } })} />;
  },
});

start(root.addChildren([login, inside.addChildren([home, nodes, node, tokens, allocations, skus, operations, operation, audit, ...accountRoutes(parent, false)])]));
