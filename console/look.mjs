// Looks at every page: pictures in dark and light, wide and narrow, and axe-core on each.
// Usage: node look.mjs READY_FILE FOLDER [--pictures]
// With --pictures only the ten most used pages, at one width, as they stand in docs/pictures.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [ready, folder, flag] = process.argv.slice(2);
const pictures = flag === "--pictures";
const only = process.env.ONLY;
const world = JSON.parse(readFileSync(ready, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LOOKS = pictures ? [["light", 1280], ["dark", 1280]] : [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]];

/** Launches so that there is something to see: a batch that ended, one with a long name, one released. */
const crowd = async () => {
  const me = await (await fetch("/api/v1/me")).json();
  const ask = async (path, body) => {
    const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token, "idempotency-key": crypto.randomUUID() };
    return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  const until = async (id, states) => {
    for (;;) {
      const now = await (await fetch(`/api/v1/allocations/${id}`)).json();
      if (states.includes(now.state)) return now;
      await new Promise((done) => setTimeout(done, 300));
    }
  };
  const launch = async (name, more) => {
    const said = await ask("/api/v1/allocations", { sku: "h100", name, ssh_key_ids: [], ...more });
    return said.allocation_ids?.[0];
  };
  // As a training run looks: busy, a checkpoint, busy again.
  const WORK = "while :; do simgpu-use --load 94 --memory 61GiB --seconds 5; simgpu-use --load 38 --memory 64GiB --seconds 2; done";
  const known = (await (await fetch("/api/v1/workloads?view=all")).json()).items;
  const main = known.find((one) => one.name === "train-7b" && one.state === "active")?.id ?? (await launch("train-7b", { command: ["sh", "-c", WORK] }));
  if (known.length < 3) {
    const batch = await launch("evaluate", { command: ["sh", "-c", "echo loss 0.31; sleep 2"], release_on_exit: true });
    await launch("a-name-that-is-as-long-as-names-may-be-which-is-63-characters", { command: ["sleep", "86400"] });
    const over = await launch("over", {});
    if (over && (await until(over, ["active", "failed"])).state === "active") await ask(`/api/v1/allocations/${over}/release`, {});
    if (batch) await until(batch, ["released", "failed"]);
  }
  const it = await until(main, ["active", "failed"]);
  return { id: it.id, task: it.operation_id };
};

/** Name of the picture, address, whether it is one of the ten, what to wait for beside the heading, what to type. */
const console_pages = ({ id, task }) => [
  ["home", "/", true],
  ["workloads", "/workloads", true],
  ["workloads-all", "/workloads?view=all&sort=Name"],
  ["workloads-attention", "/workloads?view=attention"],
  ["workloads-none", "/workloads?q=nothing-is-called-so"],
  ["workload", `/workloads/${id}`],
  ["connect", `/workloads/${id}?tab=connect`],
  ["metrics", `/workloads/${id}?tab=metrics`, true, ".u-over"],
  ["events", `/workloads/${id}?tab=events`],
  ["config", `/workloads/${id}?tab=config`],
  ["terminal", `/workloads/${id}/terminal`, true, ".xterm-rows", "simgpu-smi"],
  ["missing", "/workloads/al_00000000000000000000000000"],
  ["tasks", "/tasks"],
  ["task", `/tasks/${task}`, true],
  ["compute", "/compute"],
  ["launch", "/launch/compute", true],
  ["projects", "/access/projects"],
  ["ssh-keys", "/access/credentials"],
  ["api-keys", "/access/api-keys"],
  ["account", "/account/profile"],
  ["security", "/account/security"],
  ["sessions", "/account/sessions"],
  ["docs", "/developer/docs"],
  ["downloads", "/developer/downloads"],
  ["api", "/developer/api"],
  ["no-such-page", "/no/such/page"],
];
const node = world.pids.agents[0].node_id;
const operator_pages = () => [
  ["overview", "/platform/overview", true],
  ["lifecycle", "/platform/lifecycle", true],
  ["node", `/platform/lifecycle/nodes/${node}`],
  ["node-slices", `/platform/lifecycle/nodes/${node}?tab=slices`, true],
  ["node-metrics", `/platform/lifecycle/nodes/${node}?tab=metrics`],
  ["node-tasks", `/platform/lifecycle/nodes/${node}?tab=tasks`],
  ["node-activity", `/platform/lifecycle/nodes/${node}?tab=activity`],
  ["tokens", "/platform/lifecycle/tokens"],
  ["allocations", "/platform/allocations"],
  ["skus", "/platform/config/skus"],
  ["users", "/platform/users"],
  ["runs", "/admin/operations"],
  ["evidence", "/platform/evidence", true],
  ["account", "/account/profile"],
];
const DOORS = [
  [world.console_url, world.user, "console", crowd, console_pages],
  [world.operator_url, world.operator, "operator", () => ({}), operator_pages],
];

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let bad = 0;

async function look(page, name) {
  for (const [theme, width] of LOOKS) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 800 });
    // Charts and terminals follow a theme and a size in the next frames.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.screenshot({ path: join(folder, pictures ? `${name}-${theme}.png` : `${name}-${theme}-${width}.png`) });
    if (pictures) continue;
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run());
    for (const one of violations) console.log(`${name} ${theme} ${width}: ${one.id}: ${one.nodes[0].html.slice(0, 200)}`);
    if (wide) console.log(`${name} ${theme} ${width}: wider than the screen`);
    bad += violations.length + (wide ? 1 : 0);
  }
}

for (const [url, person, door, prepare, pages] of DOORS) {
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  page.on("pageerror", (error) => { bad += 1; console.log(`${door} ${page.url()}: ${error}`); });
  await page.goto(url);
  await page.getByLabel("Username").waitFor();
  if (!only && !pictures) await look(page, `${door}-sign-in`);
  await page.getByLabel("Username").fill(person.username);
  await page.getByLabel("Password").fill(person.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor({ state: "attached" });
  const made = await page.evaluate(prepare);
  for (const [name, path, often, wait, typed] of pages(made)) {
    if ((pictures && !often) || (only && !`${door}-${name}`.match(only))) continue;
    await page.goto(url + path);
    await page.locator("h1").waitFor();
    if (wait) await page.locator(wait).first().waitFor().catch(() => console.log(`${door}-${name}: no ${wait}`));
    await page.waitForFunction(() => !document.querySelector(".skeleton"), undefined, { timeout: 5000 }).catch(() => console.log(`${door}-${name}: loads for long`));
    if (typed) {
      await page.getByText("Connected", { exact: true }).waitFor();
      await page.keyboard.type(`${typed}\n`);
    }
    // Figures come once a second: a picture of a chart wants a few.
    await page.waitForTimeout(wait ? 3000 : 300);
    await look(page, `${door}-${name}`);
  }
  await context.close();
}
await browser.close();
console.log(bad === 0 ? "nothing to complain about" : `${bad} complaints`);
process.exitCode = bad === 0 ? 0 : 1;
