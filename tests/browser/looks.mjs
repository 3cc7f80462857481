// How every page of both doors holds: no violation of axe in dark and light, no sideways scrolling at 360 px and at
// 200 % zoom, one h1, a title of its own, and the focus on the heading after a change of page.
// Usage: looks.mjs READY_FILE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arrive, browse, internal, launch, settled, signIn } from "./kit.mjs";

const axe = readFileSync(createRequire(new URL("../../console/package.json", import.meta.url)).resolve("axe-core/axe.min.js"), "utf8");
/** Theme and width in CSS px; half of 1280 is what is left of it at 200 %. */
const LOOKS = [
  ["light", 1280],
  ["dark", 640],
  ["light", 360],
];

async function look(page, path, found) {
  await settled(page);
  for (const [theme, width] of LOOKS) {
    const name = `${path} ${theme} ${width}`;
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 900 });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) found.push(`${name}: ${wide} px wider than the screen`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run());
    for (const one of violations) found.push(`${name}: ${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  }
  const told = await internal(page);
  if (told) found.push(`${path}: shows what is internal: ${told}`);
  const heads = await page.locator("h1").count();
  if (heads !== 1) found.push(`${path}: ${heads} h1`);
}

async function door(browser, url, person, pages, found, before = async () => []) {
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByLabel("Username").waitFor();
  await look(page, `${url} sign-in`, found);
  await page.setViewportSize({ width: 1280, height: 900 });
  await signIn(page, url, person);
  const titles = new Map();
  for (const path of [...pages, ...(await before(page))]) {
    await arrive(page, url + path);
    const title = await page.title();
    if (!path.includes("?") && titles.has(title)) found.push(`${path}: called ${title}, as ${titles.get(title)} is`);
    titles.set(title, path);
    await look(page, path, found);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await arrive(page, url);
  const links = page.getByRole("navigation", { name: "Main" }).getByRole("link");
  for (let at = 0; at < (await links.count()); at += 1) {
    const link = links.nth(at);
    const here = new URL(page.url()).pathname;
    const to = new URL(await link.getAttribute("href"), url).pathname;
    await link.click();
    await settled(page);
    if (to === here) continue;
    await page
      .waitForFunction(() => document.activeElement?.tagName === "H1", undefined, { timeout: 10_000 })
      .catch(() => found.push(`${to}: the focus is not on its heading`));
  }
  await context.close();
}

await browse(async (page, { step, world, context }) => {
  const browser = context.browser();
  const found = [];
  await signIn(page, world.console_url, world.user);
  const allocation = await launch(page, { sku: "h100", name: "a-name-that-is-as-long-as-names-may-be-which-is-63-characters", ssh_key_ids: [] });
  step("something runs");
  const node = world.pids.agents[0].node_id;
  const operator = [
    "/platform/overview",
    "/platform/lifecycle",
    "/platform/lifecycle?state=maintenance",
    "/platform/lifecycle/tokens",
    `/platform/lifecycle/nodes/${node}`,
    ...["slices", "metrics", "tasks", "activity"].map((tab) => `/platform/lifecycle/nodes/${node}?tab=${tab}`),
    "/platform/allocations",
    `/platform/allocations?open=${allocation}`,
    "/platform/config/skus",
    "/platform/users",
    "/platform/evidence",
    "/platform/evidence?action=nothing.like.it",
    "/admin/operations",
    "/account",
    "/no/such/page",
  ];
  await door(browser, world.operator_url, world.operator, operator, found, async (signedIn) => {
    const get = (path) => signedIn.evaluate(async (asked) => (await fetch(asked)).json(), path);
    const [run] = (await get("/api/v1/operations")).items;
    const [user] = (await get("/api/v1/admin/users")).items;
    const [event] = (await get("/api/v1/admin/audit-logs")).items;
    return [`/admin/operations/${run.id}`, `/platform/users/${user.id}`, `/platform/evidence?event=${event.id}`];
  });
  step("the operator's pages");
  if (found.length > 0) throw new Error(found.join("\n"));
});
