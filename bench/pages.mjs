// Loads pages cold in a browser whose CPU is slowed down; one line of JSON a page: of each time the median
// of several loads and the least.
// Usage: pages.mjs READY_FILE RUNS SLOWER
import { launch, signIn } from "../tests/browser/kit.mjs";
import { LISTEN, WITHIN, median, round, say, start, world } from "./browser.mjs";

const [runs, slower] = [Number(process.argv[3]), Number(process.argv[4])];
/** How long the page has to be without a long task to count as at rest. */
const REST_MS = 2000;

/** Runs in the page: when its heading and its data stand, and then when no long task has been for a while. */
const stood = async ({ wait, rest }) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const there = () => document.querySelector("h1") && !document.querySelector(".skeleton") && (!wait || document.querySelector(wait));
  while (!there()) await frame();
  const shown = performance.now();
  const last = () => Math.max(shown, ...window.told.tasks.map(([at, took]) => at + took));
  while (performance.now() - last() < rest) await new Promise((done) => setTimeout(done, 100));
  const first = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
  const interactive = last();
  // A task is in the way from its 51st ms on.
  const blocked = window.told.tasks.filter(([at]) => at >= first && at < interactive).reduce((sum, [, took]) => sum + took - 50, 0);
  return { first, largest: window.told.largest, shown, interactive, blocked };
};

/** One cold load: nothing in the cache, only the cookies of a person who is signed in. */
async function load(browser, url, cookies, wait) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...(cookies ? { storageState: cookies } : {}) });
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN);
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: slower });
  let [bytes, requests] = [0, 0];
  cdp.on("Network.requestWillBeSent", ({ request }) => (requests += request.url.startsWith("http") ? 1 : 0));
  cdp.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  await page.addInitScript(LISTEN);
  await page.goto(url, { waitUntil: "commit" });
  const times = await page.evaluate(stood, { wait, rest: REST_MS });
  await context.close();
  return { ...times, bytes, requests };
}

async function measure(browser, door, cookies, name, path, wait) {
  const loads = [];
  for (let run = 0; run < runs; run += 1) loads.push(await load(browser, door + path, cookies, wait));
  const of = (key) => median(loads.map((one) => one[key]));
  const both = (key) => [Math.round(of(key)), Math.round(Math.min(...loads.map((one) => one[key])))];
  say(name, {
    kB: round(of("bytes") / 1000),
    requests: of("requests"),
    fcp_ms: both("first"),
    lcp_ms: both("largest"),
    shown_ms: both("shown"),
    tbt_ms: both("blocked"),
    tti_ms: both("interactive"),
  });
}

async function signedIn(browser, url, person, prepare = async () => {}) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await signIn(page, url, person);
  const made = await prepare(page);
  const cookies = await context.storageState();
  await context.close();
  return { cookies, made };
}

const browser = await start();
const user = await signedIn(browser, world.console_url, world.user, (page) => launch(page, { sku: "h100", name: "looked-at", ssh_key_ids: [] }));
const operator = await signedIn(browser, world.operator_url, world.operator);
for (const [name, path, wait] of [
  ["home", "/"],
  ["workloads", "/workloads"],
  ["launch", "/launch/compute"],
  ["terminal", `/workloads/${user.made}/terminal`, ".xterm-rows"],
  ["metrics", `/workloads/${user.made}?tab=metrics`, ".u-over"],
]) {
  if (name === "home") await measure(browser, world.console_url, undefined, "sign-in", "/auth/login");
  await measure(browser, world.console_url, user.cookies, name, path, wait);
}
await measure(browser, world.operator_url, operator.cookies, "operator: overview", "/platform/overview");
await measure(browser, world.operator_url, operator.cookies, "operator: nodes", "/platform/lifecycle");
await browser.close();
