// Looks at every page: a picture in dark and light, wide and narrow, and axe-core on each.
// Usage: node look.mjs READY_FILE FOLDER
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [ready, folder] = process.argv.slice(2);
const world = JSON.parse(readFileSync(ready, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const node = world.pids.agents[0].node_id;
const DOORS = [
  [world.operator_url, world.operator, "operator", ["/nodes", `/nodes/${node}`, `/nodes/${node}?tab=slots`, `/nodes/${node}?tab=metrics`, "/bootstrap-tokens", "/allocations", "/skus", "/admin/operations", "/audit", "/account"]],
  [world.console_url, world.user, "console", ["/workloads", "/compute/launch", "/tasks", "/ssh-keys", "/account"]],
];
const LOOKS = [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]];

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
let bad = 0;
for (const [url, person, door, paths] of DOORS) {
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  page.on("pageerror", (error) => { bad += 1; console.log(`${door} ${page.url()}: ${error}`); });
  await page.goto(url);
  await page.getByLabel("Username").waitFor();
  for (const path of ["", ...paths]) {
    if (path) await page.goto(url + path);
    await page.locator("h1").waitFor();
    await page.waitForTimeout(700);
    for (const [theme, width] of LOOKS) {
      await page.emulateMedia({ colorScheme: theme });
      await page.setViewportSize({ width, height: 800 });
      await page.waitForTimeout(100);
      const name = `${door}${(path || "/sign-in").replace(/nd_\w+/, "one").replace(/\W+/g, "-")}-${theme}-${width}`;
      await page.screenshot({ path: join(folder, `${name}.png`) });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run());
      for (const one of violations) console.log(`${name}: ${one.id}: ${one.nodes[0].html.slice(0, 160)}`);
      if (wide) console.log(`${name}: wider than the screen`);
      bad += violations.length + (wide ? 1 : 0);
    }
    if (!path) {
      await page.getByLabel("Username").fill(person.username);
      await page.getByLabel("Password").fill(person.password);
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await page.locator("nav").waitFor({ state: "attached" });
    }
  }
  await context.close();
}
await browser.close();
console.log(bad === 0 ? "nothing to complain about" : `${bad} complaints`);
process.exitCode = bad === 0 ? 0 : 1;
