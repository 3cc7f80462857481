// The operator console: its pages and where they stand.
import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";
import { at } from "./api/at";
import { oneQuery } from "./api/lists";
import { Allocations, type Filters as AllocationFilters } from "./rooms/allocations/List";
import { FILTERS, type Filters as AuditFilters } from "./rooms/audit/filters";
import { NodePage } from "./rooms/nodes/Detail";
import { Nodes, type Filters as NodeFilters } from "./rooms/nodes/List";
import { Operations, type Filters as RunFilters } from "./rooms/operations/List";
import { Run, type Frame } from "./rooms/operations/Run";
import { Overview } from "./rooms/overview/Overview";
import { attentionQuery } from "./rooms/overview/Queue";
import { ALLOCATIONS, EVIDENCE, LIFECYCLE, RUNS, SKUS, TOKENS, USERS, allocationPath, nodePath, runPath } from "./rooms/paths";
import type { Filters as SkuFilters } from "./rooms/skus/Skus";
import type { Filters as UserFilters } from "./rooms/users/List";
import { accountRoutes, later, moved, textSearch, trunk } from "./routes";
import { start } from "./start";
import { Go } from "./ui/kit";

// What is looked at less often is loaded when it is.
const Audit = later(async () => (await import("./rooms/audit/Audit")).Audit);
const Skus = later(async () => (await import("./rooms/skus/Skus")).Skus);
const Tokens = later(async () => (await import("./rooms/tokens/Tokens")).Tokens);
const UserPage = later(async () => (await import("./rooms/users/Detail")).UserPage);
const Users = later(async () => (await import("./rooms/users/List")).Users);

const OVERVIEW = "/platform/overview";

/** How many things wait for an operator, beside the link that leads to them. */
function useWaiting(family?: "lifecycle" | "allocations") {
  const queue = useQuery(attentionQuery(undefined, 5000));
  if (!queue.data) return undefined;
  const count = family ? queue.data.items.filter((one) => one.family === family && !one.seen).length : queue.data.unseen;
  return { count, what: "need action" };
}

const { root, login, inside } = trunk(
  "Muster operator",
  [
    { label: "Work", links: [{ to: OVERVIEW, label: "Overview", useCount: () => useWaiting() }] },
    {
      label: "Fleet",
      links: [
        { to: LIFECYCLE, label: "Lifecycle", useCount: () => useWaiting("lifecycle") },
        { to: ALLOCATIONS, label: "Allocations", useCount: () => useWaiting("allocations") },
      ],
    },
    { label: "Customers", links: [{ to: USERS, label: "Users" }] },
    { label: "Config", links: [{ to: SKUS, label: "SKUs" }] },
    { label: "Evidence", links: [{ to: RUNS, label: "Operations" }, { to: EVIDENCE, label: "Audit log" }] },
    { label: "You", links: [{ to: "/account/profile", label: "Account", also: ["/account"] }] },
  ],
  "operator",
);

const parent = { getParentRoute: () => inside };

const overview = createRoute({ ...parent, path: OVERVIEW, component: Overview });
const nodes = createRoute({
  ...parent,
  path: LIFECYCLE,
  validateSearch: textSearch("q", "state", "sort"),
  component: function At() {
    const navigate = nodes.useNavigate();
    return <Nodes filters={nodes.useSearch() as NodeFilters} onFilters={(search) => void navigate({ search, replace: true })} />;
  },
});
const tokens = createRoute({ ...parent, path: TOKENS, component: Tokens });
const node = createRoute({
  ...parent,
  path: `${LIFECYCLE}/nodes/$id`,
  validateSearch: textSearch("tab"),
  component: function At() {
    const navigate = node.useNavigate();
    const { id } = node.useParams();
    return <NodePage key={id} id={id} tab={node.useSearch().tab} onTab={(tab) => void navigate({ search: { tab }, replace: true })} />;
  },
});
const allocations = createRoute({
  ...parent,
  path: ALLOCATIONS,
  validateSearch: textSearch("q", "state", "node_id", "user_id", "sort", "open"),
  component: function At() {
    const navigate = allocations.useNavigate();
    return <Allocations filters={allocations.useSearch() as AllocationFilters} onFilters={(search) => void navigate({ search, replace: true })} />;
  },
});
const skus = createRoute({
  ...parent,
  path: SKUS,
  validateSearch: textSearch("state", "sort"),
  component: function At() {
    const navigate = skus.useNavigate();
    return <Skus filters={skus.useSearch() as SkuFilters} onFilters={(search) => void navigate({ search, replace: true })} />;
  },
});
const users = createRoute({
  ...parent,
  path: USERS,
  validateSearch: textSearch("q", "sort"),
  component: function At() {
    const navigate = users.useNavigate();
    return <Users filters={users.useSearch() as UserFilters} onFilters={(search) => void navigate({ search, replace: true })} />;
  },
});
const user = createRoute({
  ...parent,
  path: `${USERS}/$id`,
  component: function At() {
    const { id } = user.useParams();
    return <UserPage key={id} id={id} />;
  },
});
const audit = createRoute({
  ...parent,
  path: EVIDENCE,
  validateSearch: textSearch(...FILTERS, "event"),
  component: function At() {
    const navigate = audit.useNavigate();
    return <Audit filters={audit.useSearch() as AuditFilters} onFilters={(search) => void navigate({ search, replace: true })} />;
  },
});
const operations = createRoute({
  ...parent,
  path: RUNS,
  validateSearch: textSearch("state", "kind", "subject", "sort"),
  component: function At() {
    const navigate = operations.useNavigate();
    return <Operations filters={operations.useSearch() as RunFilters} onFilters={(search) => void navigate({ search, replace: true })} />;
  },
});
const PAGES: Record<string, (id: string) => string> = { allocation: allocationPath, node: (id) => nodePath(id) };
function Node({ id }: { id: string }) {
  const one = useQuery(oneQuery(at("/api/v1/admin/nodes/{node_id}", { node_id: id })));
  return (
    <Go to={nodePath(id)} className="break">
      {one.data?.name ?? id}
    </Go>
  );
}
const RUN: Frame = {
  word: "Run",
  crumbs: [[RUNS, "Operations"]],
  path: runPath,
  subjectTo: ({ subject }) => (subject.id ? PAGES[subject.kind]?.(subject.id) : undefined),
  Node,
};
const operation = createRoute({
  ...parent,
  path: `${RUNS}/$id`,
  component: function At() {
    const { id } = operation.useParams();
    return <Run key={id} id={id} frame={RUN} />;
  },
});

/** Addresses that pages had before, or have elsewhere; filters are handed on. */
const MOVED = [
  ["/", OVERVIEW],
  ["/admin/overview", OVERVIEW],
  ["/nodes", LIFECYCLE],
  ["/admin/nodes", LIFECYCLE],
  ["/nodes/$id", `${LIFECYCLE}/nodes/$id`],
  ["/bootstrap-tokens", TOKENS],
  ["/allocations", ALLOCATIONS],
  ["/admin/allocations", ALLOCATIONS],
  ["/skus", SKUS],
  ["/admin/skus", SKUS],
  ["/audit", EVIDENCE],
  ["/admin/audit-logs", EVIDENCE],
  ["/admin/users", USERS],
  ["/admin/users/$id", `${USERS}/$id`],
  ["/platform/iam", USERS],
  ["/platform/iam/users/$id", `${USERS}/$id`],
] as const;
const older = MOVED.map(([from, to]) =>
  moved(parent, from, ({ id = "" }, search) => {
    // A run names the allocation it is about so.
    const { subject, ...filters } = search;
    const text = new URLSearchParams(subject ? { ...filters, open: subject } : filters).toString();
    return to.replace("$id", id) + (text ? `?${text}` : "");
  }),
);

start(
  root.addChildren([
    login,
    inside.addChildren([overview, nodes, tokens, node, allocations, skus, users, user, operations, operation, audit, ...accountRoutes(parent, false), ...older]),
  ]),
  [
    [LIFECYCLE, "Nodes"],
    [OVERVIEW, "Overview"],
  ],
);
