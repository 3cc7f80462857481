// A crawl of pages for what is inert: each button that can be pressed changes something or asks first, each one that
// cannot says why in text beside it, and each link leads to a page. Not a script by itself.
import { arrive } from "./kit.mjs";

/** Pressing it ends the session that looks; a test of its own presses it. */
const LEFT_OUT = new Set(["Sign out", "Menu"]);

/** What a press can change: the address, what is shown, what is pressed, chosen or open, and the field that the browser
 * asks for. Runs in the page. */
function seen() {
  const body = document.body.cloneNode(true);
  body.querySelectorAll("time").forEach((one) => one.remove());
  const asked = document.activeElement?.matches("input:invalid, textarea:invalid") ? document.activeElement.id : "";
  return location.href + asked + body.innerText + body.querySelectorAll("[aria-pressed=true], [aria-selected=true], [role=dialog], [open]").length;
}

async function buttons(page, path, found) {
  const all = page.locator("main").getByRole("button");
  const count = await all.count();
  for (let at = 0; at < count; at += 1) {
    const button = all.nth(at);
    const name = (await button.innerText()).trim() || (await button.getAttribute("aria-label"));
    // What is chosen already stays chosen.
    const chosen = await button.evaluate((it) => it.getAttribute("aria-pressed") === "true" && it.parentElement?.getAttribute("role") === "group");
    if (LEFT_OUT.has(name) || chosen) continue;
    if (await button.isDisabled()) {
      const by = await button.getAttribute("aria-describedby");
      const why = by && (await page.evaluate((ids) => ids.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" "), by));
      if (!why?.trim()) found.push(`${path}: ${name} cannot be pressed and does not say why`);
      continue;
    }
    await page.evaluate(() => {
      window.before = window.seen();
    });
    await button.click();
    const changed = await page.waitForFunction(() => !window.before || window.seen() !== window.before, undefined, { timeout: 5000 }).then(
      () => true,
      () => false,
    );
    if (!changed) found.push(`${path}: ${name} does nothing`);
    await arrive(page, new URL(path, page.url()).href);
  }
}

async function links(page, seenBefore, found) {
  const here = page.url();
  const hrefs = await page.locator("a[href]:not([download])").evaluateAll((all) => all.map((one) => one.href));
  for (const href of new Set(hrefs)) {
    const to = new URL(href);
    const key = to.pathname.replace(/\/\w\w_[0-9a-z]{26}/, "/one");
    if (to.origin !== new URL(here).origin || seenBefore.has(key) || href.endsWith("#main")) continue;
    seenBefore.add(key);
    if (to.pathname.startsWith("/api/")) {
      const there = await page.evaluate(async (asked) => (await fetch(asked, { method: "GET" })).ok, href);
      if (!there) found.push(`${here}: a link to ${href}`);
      continue;
    }
    await arrive(page, href);
    if ((await page.locator("h1").innerText()) === "There is no such page") found.push(`${here}: a link to ${href}`);
  }
  await arrive(page, here);
}

/** Walks the pages of a door, whose person is signed in; throws with all that is inert. */
export async function crawl(page, url, pages, step) {
  await page.addInitScript(`window.seen = ${seen}`);
  const found = [];
  const visited = new Set();
  for (const path of pages) {
    await arrive(page, url + path);
    await buttons(page, path, found);
    await links(page, visited, found);
    step(path);
  }
  if (found.length > 0) throw new Error(found.join("\n"));
}
