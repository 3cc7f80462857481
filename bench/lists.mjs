// Scrolls and filters long lists in a browser; one line of JSON a list. Usage: lists.mjs READY_FILE
import { signIn, settled } from "../tests/browser/kit.mjs";
import { LISTEN, WITHIN, median, quantile, round, say, start, world } from "./browser.mjs";

/** Notes each frame, the most rows in the document, and frames that show no row in the middle of the list. */
const watch = () => {
  const box = document.querySelector(".table-wrap");
  const seen = (window.seen = { frames: [], rows: 0, bare: 0, from: performance.now(), on: true });
  let last = performance.now();
  const frame = (now) => {
    if (!seen.on) return;
    seen.frames.push(now - last);
    last = now;
    seen.rows = Math.max(seen.rows, box.querySelectorAll("tbody tr:not([aria-hidden])").length);
    const { left, top, width, height } = box.getBoundingClientRect();
    if (!document.elementFromPoint(left + width / 2, top + height / 2)?.closest("tr[data-index]")) seen.bare += 1;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
};

async function watched(page, act) {
  await page.evaluate(watch);
  await act();
  const { seen, tasks } = await page.evaluate(() => {
    window.seen.on = false;
    return { seen: window.seen, tasks: window.told.tasks.filter(([at]) => at >= window.seen.from).map(([, took]) => took) };
  });
  const frames = seen.frames.slice(1);
  return {
    frame_ms_median: round(median(frames)),
    frame_ms_p99: round(quantile(frames, 0.99)),
    frames_over_50_ms_percent: round((100 * frames.filter((one) => one > 50).length) / frames.length),
    frames_bare: seen.bare,
    longest_task_ms: Math.round(Math.max(0, ...tasks)),
    dom_rows_most: seen.rows,
  };
}

/** Turns the wheel until the list has loaded all its rows and stands at its end. */
async function toEnd(page, rows) {
  const box = await page.locator(".table-wrap").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + Math.min(box.height, 500) / 2);
  const began = Date.now();
  for (;;) {
    await page.mouse.wheel(0, 800);
    const { at, end, last } = await page.evaluate(() => {
      const list = document.querySelector(".table-wrap");
      const drawn = [...list.querySelectorAll("tr[data-index]")].at(-1);
      return { at: list.scrollTop + list.clientHeight, end: list.scrollHeight, last: Number(drawn?.dataset.index) };
    });
    if (last >= rows - 1 && at >= end - 2) return Math.round((Date.now() - began) / 100) / 10;
    if (Date.now() - began > 300_000) throw new Error(`row ${last} of ${rows} after five minutes`);
  }
}

/** From the last key, or the choice, to the first frame that shows only rows that fit. */
async function filter(page, act, fits) {
  const marked = page.evaluate(
    (wanted) =>
      new Promise((done, fail) => {
        let began;
        setTimeout(() => fail(new Error(`no rows with ${wanted} only`)), 60_000);
        document.addEventListener("input", () => (began = performance.now()));
        const look = () => {
          const rows = [...document.querySelectorAll(".table-wrap tbody tr:not([aria-hidden])")];
          if (began && rows.length > 0 && rows.every((row) => row.textContent.includes(wanted))) done(performance.now() - began);
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      }),
    fits,
  );
  await act();
  return Math.round(await marked);
}

async function list(browser, url, person, { name, path, label, type, typed, choose, chosen, rows }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN);
  await page.addInitScript(LISTEN);
  await signIn(page, url, person);
  const began = Date.now();
  await page.goto(url + path);
  await settled(page);
  await page.locator("tr[data-index]").first().waitFor();
  const opened = Date.now() - began;
  // Nodes that were never heard of are offline after a while.
  if (choose) await page.locator("tr[data-index]").getByText(chosen).first().waitFor();
  const searched = await filter(page, () => page.getByLabel(label).pressSequentially(type, { delay: 30 }), typed);
  await page.getByLabel(label).fill("");
  await page.locator("tr[data-index]").first().waitFor();
  const chose = choose ? await filter(page, () => choose(page), chosen) : undefined;
  await page.goto(url + path);
  await page.locator("tr[data-index]").first().waitFor();
  let took = 0;
  const scroll = await watched(page, async () => {
    took = await toEnd(page, rows);
  });
  say(name, { rows, opened_ms: opened, search_ms: searched, choice_ms: chose, end_after_s: took, ...scroll });
  // All rows are loaded now: back to the top and down again, as fast as the wheel turns.
  await page.evaluate(() => (document.querySelector(".table-wrap").scrollTop = 0));
  const again = await watched(page, async () => {
    for (let turn = 0; turn < 120; turn += 1) await page.mouse.wheel(0, turn % 2 ? 2400 : 1600);
  });
  say(`${name}, all rows loaded`, again);
  await context.close();
}

const browser = await start();
const [nodes, allocations] = [Number(process.argv[3]), Number(process.argv[4])];
const only = process.env.ONLY;
const state = (word) => (page) => page.getByLabel("State").selectOption({ label: word });
const lists = [
  [world.operator_url, world.operator, { name: "nodes", path: "/platform/lifecycle", label: "Name or id", type: "gpu-0499", typed: "gpu-0499", choose: state("Offline"), chosen: "Offline", rows: nodes }],
  [world.operator_url, world.operator, { name: "allocations", path: "/platform/allocations", label: "Name, id or hardware", type: "train-0999", typed: "train-0999", choose: state("Failed"), chosen: "Failed", rows: allocations }],
  [world.console_url, world.user, { name: "workloads", path: "/workloads?view=all", label: "Name or id", type: "train-0999", typed: "train-0999", rows: allocations }],
];
for (const [url, person, what] of lists) if (!only || what.name.match(only)) await list(browser, url, person, what);
await browser.close();
