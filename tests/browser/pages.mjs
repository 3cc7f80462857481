// Every page of the user console in every state: axe in dark and light, wide and narrow, one heading and a title, no
// sideways scrolling; a failed call says its sentence, its reference and the way on; a lost stream is polled for.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { browse, internal, launch, signIn } from "./kit.mjs";

const axe = readFileSync(createRequire(new URL("../../console/package.json", import.meta.url)).resolve("axe-core/axe.min.js"), "utf8");
// The narrowest is only looked at for its width: what axe sees there it has seen at 360.
const LOOKS = [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 320]];

/** Complaints of axe and of the eye about the page as it is. */
async function complaints(page, name) {
  const found = [];
  for (const [colorScheme, width] of LOOKS) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 800 });
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
    const said = await page.evaluate(async (narrowest) => {
      const { violations } = narrowest ? { violations: [] } : await window.axe.run();
      const all = violations.map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 160)}`);
      if (document.documentElement.scrollWidth > innerWidth) all.push("it scrolls sideways");
      if (document.querySelectorAll("h1").length !== 1) all.push("it has not one h1");
      if (!/\S · Muster/.test(document.title)) all.push(`its title is "${document.title}"`);
      return all;
    }, width === 320);
    found.push(...said.map((one) => `${name} ${colorScheme} ${width}: ${one}`));
  }
  const told = await internal(page);
  if (told) found.push(`${name}: shows what is internal: ${told}`);
  await page.setViewportSize({ width: 1280, height: 800 });
  return found;
}

const settled = async (page) => {
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => !document.querySelector(".skeleton"));
};

await browse(async (page, { step, world, context }) => {
  await page.goto(world.console_url);
  await page.getByLabel("Username").waitFor();
  const bad = await complaints(page, "sign-in");
  await signIn(page, world.console_url, world.user);
  const id = await launch(page, { sku: "h100", name: "a-name-that-is-as-long-as-names-may-be-which-is-63-characters", ssh_key_ids: [] });
  const task = await page.evaluate(async (one) => (await (await fetch(`/api/v1/allocations/${one}`)).json()).operation_id, id);
  const project = await page.evaluate(async () => (await (await fetch("/api/v1/projects")).json()).items[0].id);
  const pages = [
    ["/", "home"],
    ["/workloads", "workloads"],
    ["/workloads?view=attention", "workloads"],
    ["/workloads?q=nothing-is-called-so", "workloads"],
    [`/workloads/${id}`, "allocations"],
    [`/workloads/${id}?tab=connect`, "sessions"],
    [`/workloads/${id}?tab=metrics`, "metrics"],
    [`/workloads/${id}?tab=events`, "activity"],
    [`/workloads/${id}?tab=config`, "allocations"],
    [`/workloads/${id}/terminal`, "allocations"],
    ["/tasks", "operations"],
    [`/tasks/${task}`, "operations"],
    ["/compute", "skus"],
    ["/launch/compute", "skus"],
    ["/access/projects", "projects"],
    [`/access/projects/${project}`, "projects"],
    ["/access/credentials", "ssh-keys"],
    ["/access/api-keys", "api-keys"],
    ["/account/profile", undefined],
    ["/account/security", undefined],
    ["/account/sessions", "sessions"],
    ["/developer/docs", undefined],
    ["/developer/downloads", "downloads"],
    ["/developer/api", "openapi.json"],
    ["/workloads/al_00000000000000000000000000", undefined],
    ["/no/such/page", undefined],
  ];
  for (const [path] of pages) {
    await page.goto(world.console_url + path);
    await settled(page);
    bad.push(...(await complaints(page, path)));
  }
  if (bad.length > 0) throw new Error(bad.join("\n"));
  step(`${pages.length} pages in ${LOOKS.length} looks have nothing to complain about`);

  const failing = { status: 500, code: "internal", title: "Internal Server Error", detail: "Something is broken here.", correlation_id: "co_00000000000000000000000000" };
  for (const [path, noun] of pages.filter(([, one]) => one)) {
    const matcher = (url) => url.pathname.startsWith("/api/v1/") && url.pathname.split("/").includes(noun);
    await page.route(matcher, (route) => route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify(failing) }));
    await page.goto(world.console_url + path);
    const card = page.getByRole("alert").filter({ hasText: "Something is broken here." }).first();
    await card.getByText(failing.correlation_id).waitFor();
    await card.getByRole("button", { name: "Copy the reference" }).waitFor();
    await page.unroute(matcher);
    // A page may have asked for several things: each card comes back on its own.
    const cards = page.getByRole("alert").filter({ hasText: "Something is broken here." });
    while ((await cards.count()) > 0) {
      const first = await cards.first().elementHandle();
      await cards.first().getByRole("button", { name: "Try again" }).click();
      await first.waitForElementState("hidden");
    }
  }
  step("each page says what failed, with a reference to copy, and comes back when tried again");

  // An answer that no page can work with is a fault of Muster; a person reads a sentence and not the fault.
  const skus = (url) => url.pathname === "/api/v1/skus";
  await page.route(skus, (route) => route.fulfill({ contentType: "application/json", body: JSON.stringify({ items: [null], next_cursor: null }) }));
  await page.goto(`${world.console_url}/compute`);
  await page.getByText("This part of the page failed.").first().waitFor();
  const told = await internal(page);
  if (told) throw new Error(`a person reads "${told}"`);
  await page.unroute(skus);
  step("a page that fails by itself says so without its fault");

  const limited = { status: 429, code: "rate_limited", title: "Too Many Requests", detail: "Too many requests.", correlation_id: failing.correlation_id };
  const tasks = (url) => url.pathname === "/api/v1/operations";
  await page.route(tasks, (route) => route.fulfill({ status: 429, headers: { "retry-after": "2" }, contentType: "application/problem+json", body: JSON.stringify(limited) }));
  await page.goto(`${world.console_url}/tasks`);
  await page.getByText(/You can try again in \d s/).waitFor();
  await page.unroute(tasks);
  await page.getByRole("button", { name: "Try again", disabled: false }).click();
  await page.getByRole("region", { name: "Tasks" }).waitFor();
  await page.route(tasks, (route) => route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify({ ...limited, status: 403, code: "forbidden_role", detail: "Your role does not allow this." }) }));
  await page.goto(`${world.console_url}/tasks`);
  await page.getByText("Ask whoever runs Muster here for the role that allows it.").waitFor();
  await page.unroute(tasks);
  step("a limit counts down, and a missing role says whom to ask");

  // Without the stream pages ask by themselves.
  await context.route(/\/api\/v1\/events\/stream/, (route) => route.abort());
  await page.goto(`${world.console_url}/workloads`);
  await settled(page);
  await page.getByText("Asking for changes every few seconds").waitFor();
  await launch(page, { sku: "h100", name: "told-without-a-stream", ssh_key_ids: [] });
  await page.getByRole("link", { name: "told-without-a-stream" }).waitFor();
  await context.unroute(/\/api\/v1\/events\/stream/);
  step("a page without its stream is kept true");

  await page.goto(`${world.console_url}/workloads`);
  await settled(page);
  await page.getByRole("searchbox", { name: "Name or id" }).fill("told");
  await page.waitForURL(/q=told/);
  await page.getByRole("button", { name: "Name" }).click();
  await page.waitForURL(/sort=Name/);
  await page.getByRole("link", { name: "told-without-a-stream" }).click();
  await page.getByRole("heading", { name: "told-without-a-stream" }).waitFor();
  await page.getByRole("navigation", { name: "Breadcrumb" }).getByRole("link", { name: "Workloads" }).click();
  await page.waitForURL(/q=told/);
  if (!/sort=Name/.test(page.url())) throw new Error(`the sorting is gone: ${page.url()}`);
  step("filters stand in the address, and the way back keeps them");

  await page.getByLabel("Theme").selectOption("dark");
  await page.emulateMedia({ colorScheme: "light" });
  const dark = await page.evaluate(() => getComputedStyle(document.body).color);
  await page.getByLabel("Theme").selectOption("light");
  const light = await page.evaluate(() => getComputedStyle(document.body).color);
  if (dark === light) throw new Error("the theme does not follow the choice");
  step("the theme follows the choice");

  await page.route(`${world.console_url}/`, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/index-[\w-]+\.js/, "index-another.js") });
  });
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.getByText("A newer console is here").waitFor();
  step("a page from before an upgrade says so");
});
