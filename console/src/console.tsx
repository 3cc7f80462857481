// The user console: its pages and where they stand.
import { useQuery } from "@tanstack/react-query";
import { createRoute, redirect, type AnyRoute } from "@tanstack/react-router";
import { at } from "./api/at";
import { oneQuery } from "./api/lists";
import type { Operation } from "./api/types";
import type { CatalogFilters } from "./rooms/catalog/Catalog";
import { Home } from "./rooms/home/Home";
import { Run, type Frame } from "./rooms/operations/Run";
import { RUNS, runPath } from "./rooms/paths";
import { Operations } from "./rooms/tasks/List";
import { Workloads } from "./rooms/workloads/List";
import type { Filters } from "./rooms/workloads/views";
import { Bare, accountRoutes, later, moved, textSearch, trunk } from "./routes";
import { start } from "./start";

const Workload = later(async () => (await import("./rooms/workloads/Detail")).Workload);
const TerminalPage = later(async () => (await import("./rooms/terminal/TerminalPage")).TerminalPage);
const Launch = later(async () => (await import("./rooms/launch/Launch")).Launch);
const Catalog = later(async () => (await import("./rooms/catalog/Catalog")).Catalog);
const Keys = later(async () => (await import("./rooms/keys/Keys")).Keys);
const ApiKeys = later(async () => (await import("./rooms/apikeys/ApiKeys")).ApiKeys);
const Projects = later(async () => (await import("./rooms/projects/Projects")).Projects);
const ProjectPage = later(async () => (await import("./rooms/projects/Detail")).ProjectPage);
const Docs = later(async () => (await import("./rooms/developer/Docs")).Docs);
const Downloads = later(async () => (await import("./rooms/developer/Downloads")).Downloads);
const Api = later(async () => (await import("./rooms/developer/Api")).Api);

/** Tasks that run now: the number beside the word. */
function useRunning() {
  const running = useQuery(oneQuery(at("/api/v1/tasks", undefined, { state: "running", limit: 50 }), 5000));
  return running.data ? { count: running.data.items.length, what: "running" } : undefined;
}

const { root, login, inside, guard } = trunk(
  "Muster",
  [
    { label: "Overview", links: [{ to: "/", label: "Home" }] },
    { label: "Workloads", links: [{ to: "/workloads", label: "Workloads" }, { to: "/tasks", label: "Tasks", useCount: useRunning }] },
    { label: "Launch", links: [{ to: "/compute", label: "Compute catalog" }, { to: "/launch/compute", label: "Launch" }] },
    {
      label: "Access",
      links: [
        { to: "/access/projects", label: "Projects" },
        { to: "/access/credentials", label: "SSH keys" },
        { to: "/access/api-keys", label: "API keys" },
      ],
    },
    { label: "You", links: [{ to: "/account/profile", label: "Account", also: ["/account"] }, { to: "/developer/docs", label: "Developer", also: ["/developer"] }] },
  ],
  "console",
);

const parent = { getParentRoute: () => inside };

const home = createRoute({ ...parent, path: "/", component: Home });
const workloads = createRoute({
  ...parent,
  path: "/workloads",
  validateSearch: textSearch("view", "q", "project", "label", "sort", "status"),
  component: function At() {
    const navigate = workloads.useNavigate();
    return <Workloads filters={workloads.useSearch()} onFilters={(search: Filters) => void navigate({ search, replace: true } as never)} />;
  },
});
const workload = createRoute({
  ...parent,
  path: "/workloads/$id",
  validateSearch: textSearch("tab"),
  component: function At() {
    const navigate = workload.useNavigate();
    return <Workload id={workload.useParams().id} tab={workload.useSearch().tab} onTab={(tab) => void navigate({ search: { tab }, replace: true })} />;
  },
});
const terminal = createRoute({
  ...parent,
  path: "/workloads/$id/terminal",
  component: function At() {
    return <TerminalPage key={terminal.useParams().id} id={terminal.useParams().id} />;
  },
});
const popout = createRoute({
  getParentRoute: () => root,
  path: "/terminal/popout",
  validateSearch: textSearch("workload"),
  beforeLoad: async (at) => {
    if (!(at.search as { workload?: string }).workload) throw redirect({ href: "/workloads" });
    await guard(at);
  },
  component: function At() {
    const { workload: id = "" } = popout.useSearch();
    return (
      <Bare>
        <TerminalPage key={id} id={id} alone />
      </Bare>
    );
  },
});
const catalog = createRoute({
  ...parent,
  path: "/compute",
  validateSearch: textSearch("kind", "q", "free"),
  component: function At() {
    const navigate = catalog.useNavigate();
    return <Catalog filters={catalog.useSearch()} onFilters={(search: CatalogFilters) => void navigate({ search, replace: true } as never)} />;
  },
});
const launch = createRoute({
  ...parent,
  path: "/launch/compute",
  validateSearch: textSearch("sku", "from"),
  component: function At() {
    const { sku, from } = launch.useSearch();
    return <Launch key={`${sku}${from}`} sku={sku} from={from} />;
  },
});
const tasks = createRoute({
  ...parent,
  path: "/tasks",
  validateSearch: textSearch("state"),
  component: function At() {
    const navigate = tasks.useNavigate();
    return (
      <Operations
        title="Tasks"
        to="/tasks/$id"
        state={tasks.useSearch().state}
        onState={(state) => void navigate({ search: state ? { state } : {}, replace: true })}
      />
    );
  },
});
const subjectTo: Frame["subjectTo"] = ({ subject }) => (subject.kind === "allocation" ? `/workloads/${subject.id}` : undefined);
/** Users know a node by what stands on it. */
function Node({ id, of }: { id: string; of: Operation }) {
  const one = useQuery({ ...oneQuery(at("/api/v1/allocations/{id}", { id: of.subject.id })), enabled: of.subject.kind === "allocation" });
  return <strong className="break">{one.data?.node_name ?? id}</strong>;
}
const TASK: Frame = { word: "Task", crumbs: [["/tasks", "Tasks"]], path: (id) => `/tasks/${id}`, subjectTo, Node };
const RUN: Frame = { word: "Run", crumbs: [[RUNS, "Runs"]], path: runPath, subjectTo, Node };
const task = createRoute({
  ...parent,
  path: "/tasks/$id",
  component: function At() {
    const { id } = task.useParams();
    return <Run key={id} id={id} frame={TASK} />;
  },
});
const runs = createRoute({
  ...parent,
  path: RUNS,
  validateSearch: textSearch("state"),
  component: function At() {
    const navigate = runs.useNavigate();
    return (
      <Operations
        title="Runs"
        to={`${RUNS}/$id`}
        state={runs.useSearch().state}
        onState={(state) => void navigate({ search: state ? { state } : {}, replace: true })}
      />
    );
  },
});
const run = createRoute({
  ...parent,
  path: `${RUNS}/$id`,
  component: function At() {
    const { id } = run.useParams();
    return <Run key={id} id={id} frame={RUN} />;
  },
});
const keys = createRoute({ ...parent, path: "/access/credentials", component: Keys });
const apiKeys = createRoute({ ...parent, path: "/access/api-keys", component: ApiKeys });
const projects = createRoute({ ...parent, path: "/access/projects", component: Projects });
const project = createRoute({
  ...parent,
  path: "/access/projects/$id",
  component: function At() {
    const { id } = project.useParams();
    return <ProjectPage key={id} id={id} />;
  },
});
const docs = createRoute({ ...parent, path: "/developer/docs", component: Docs });
const downloads = createRoute({ ...parent, path: "/developer/downloads", component: Downloads });
const api = createRoute({ ...parent, path: "/developer/api", component: Api });

const PANELS: Record<string, string> = { terminal: "connect", connect: "connect", metrics: "metrics", events: "events", config: "config" };
const same = (to: string) => (_: unknown, search: Record<string, string>) => {
  const text = new URLSearchParams(search).toString();
  return text ? `${to}?${text}` : to;
};
const older: AnyRoute[] = [
  moved(parent, "/launch", same("/launch/compute")),
  moved(parent, "/compute/launch", same("/launch/compute")),
  moved(parent, "/infra/catalog", same("/compute")),
  moved(parent, "/allocations", same("/workloads")),
  moved(parent, "/infra/allocations", same("/workloads")),
  moved(parent, "/allocations/$id", ({ id }, { panel }) => `/workloads/${id}${panel ? `?tab=${PANELS[panel] ?? "overview"}` : ""}`),
  moved(parent, "/ssh-keys", same("/access/credentials")),
  moved(parent, "/account/ssh-keys", same("/access/credentials")),
  moved(parent, "/settings/ssh-keys", same("/access/credentials")),
  moved(parent, "/developer", same("/developer/docs")),
];

start(
  root.addChildren([
    login,
    popout,
    inside.addChildren([
      home,
      workloads,
      workload,
      terminal,
      catalog,
      launch,
      tasks,
      task,
      runs,
      run,
      keys,
      apiKeys,
      projects,
      project,
      docs,
      downloads,
      api,
      ...accountRoutes(parent, true),
      ...older,
    ]),
  ]),
  [
    ["/workloads", "Workloads"],
    ["/", "Home"],
  ],
);
