// The user console: its pages and where they stand.
import { createRoute, redirect } from "@tanstack/react-router";
import { Account } from "./rooms/account/Account";
import { Keys } from "./rooms/keys/Keys";
import { Launch } from "./rooms/launch/Launch";
import { Operations } from "./rooms/tasks/List";
import { Run } from "./rooms/tasks/Run";
import { TerminalPage } from "./rooms/terminal/TerminalPage";
import { Workload } from "./rooms/workloads/Detail";
import { Workloads } from "./rooms/workloads/List";
import { textSearch, trunk } from "./routes";
import { start } from "./start";

const { root, login, inside } = trunk(
  "Muster",
  [
    { label: "Compute", links: [{ to: "/workloads", label: "Workloads" }, { to: "/compute/launch", label: "Launch" }, { to: "/tasks", label: "Tasks" }] },
    { label: "You", links: [{ to: "/ssh-keys", label: "SSH keys" }, { to: "/account", label: "Account" }] },
  ],
  "console",
);

const parent = { getParentRoute: () => inside };

const home = createRoute({
  ...parent,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/workloads" as string });
  },
});
const workloads = createRoute({
  ...parent,
  path: "/workloads",
  validateSearch: textSearch("state"),
  component: function At() {
    const navigate = workloads.useNavigate();
    return <Workloads state={workloads.useSearch().state} onState={(state) => void navigate({ search: state ? { state } : {} })} />;
  },
});
const workload = createRoute({
  ...parent,
  path: "/workloads/$id",
  validateSearch: textSearch("tab"),
  component: function At() {
    const navigate = workload.useNavigate();
    return (
      <Workload
        id={workload.useParams().id}
        tab={workload.useSearch().tab}
        onTab={(tab) => void navigate({ search: { tab }, replace: true })}
      />
    );
  },
});
const terminal = createRoute({
  ...parent,
  path: "/workloads/$id/terminal",
  component: function At() {
    return <TerminalPage key={terminal.useParams().id} id={terminal.useParams().id} />;
  },
});
const launch = createRoute({
  ...parent,
  path: "/compute/launch",
  validateSearch: textSearch("sku"),
  component: function At() {
    return <Launch sku={launch.useSearch().sku} />;
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
        onState={(state) => void navigate({ search: state ? { state } : {} })}
      />
    );
  },
});
const task = createRoute({
  ...parent,
  path: "/tasks/$id",
  component: function At() {
    const navigate = task.useNavigate();
    const { id } = task.useParams();
    return (
      <Run
        key={id}
        id={id}
        subjectTo={({ subject }) => (subject.kind === "allocation" ? `/workloads/${subject.id}` : undefined)}
        onGo={(next) => void navigate({ params: { id: next } })}
      />
    );
  },
});
const keys = createRoute({ ...parent, path: "/ssh-keys", component: Keys });
const account = createRoute({ ...parent, path: "/account", component: Account });

start(
  root.addChildren([login, inside.addChildren([home, workloads, workload, terminal, launch, tasks, task, keys, account])]),
);
