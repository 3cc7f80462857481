// Long lists: few rows are drawn, more are asked for at the end, and what is looked at stays true without asking for the
// whole list again. Usage: lists.mjs READY_FILE, of a world with 600 further nodes and allocations.
import { arrive, browse, launch, signIn } from "./kit.mjs";

const MANY = 600;
const DRAWN = 80;
const rowAt = (page, at) => page.locator(`tr[data-index="${at}"]`);

/** Presses a key in the list until a row is there. */
async function until(page, key, at) {
  await page.locator(".table-wrap").focus();
  while (!(await rowAt(page, at).count())) {
    await page.keyboard.press(key);
    await page.waitForTimeout(50);
    const drawn = await page.locator("tr[data-index]").count();
    if (drawn > DRAWN) throw new Error(`${drawn} rows are drawn`);
  }
}

/** Gives a node another name, by the API of the page that is signed in. */
const rename = (page, id, name) =>
  page.evaluate(async ({ to, name }) => {
    const me = await (await fetch("/api/v1/me")).json();
    const version = (await fetch(to)).headers.get("etag");
    const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token, "if-match": version };
    const answer = await fetch(to, { method: "PATCH", headers, body: JSON.stringify({ name }) });
    if (!answer.ok) throw new Error(`${to}: ${await answer.text()}`);
  }, { to: `/api/v1/admin/nodes/${id}`, name });

const nodeIn = async (row) => (await row.getByRole("link").first().getAttribute("href")).split("/").pop();

await browse(async (page, { step, world, context }) => {
  await signIn(page, world.operator_url, world.operator);
  await arrive(page, `${world.operator_url}/platform/lifecycle`);
  await page.getByText(`100 of ${MANY + 1} shown.`, { exact: false }).waitFor();
  const upper = await nodeIn(rowAt(page, 5));
  await until(page, "End", MANY);
  if ((await page.getByRole("table").last().getAttribute("aria-rowcount")) !== String(MANY + 2)) throw new Error("the rows are not counted");
  step("a list is scrolled to its end, and few of its rows are drawn");

  const asked = [];
  page.on("request", (request) => /\/admin\/nodes\?/.test(request.url()) && asked.push(request.url()));
  await rename(page, upper, "renamed-above");
  await rename(page, await nodeIn(rowAt(page, MANY - 3)), "renamed-here");
  await rowAt(page, MANY - 3).getByText("renamed-here").waitFor();
  if (!asked.some((url) => url.includes("cursor="))) throw new Error(`the page in sight was not asked for: ${asked}`);
  // The first page and the one or two in sight, for each of at most three looks.
  if (asked.length > 9) throw new Error(`one change asked ${asked.length} times: ${asked.join("\n")}`);
  step("a change in sight is shown, and the rest of the list is not asked for again");

  await until(page, "Home", 5);
  await rowAt(page, 5).getByText("renamed-above").waitFor();
  step("what changed out of sight is true when it comes into sight");

  await page.getByRole("searchbox", { name: "Name or id" }).fill("gpu-0055");
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll(".table-wrap tbody tr")];
    return rows.length === 10 && rows.every((row) => row.innerText.includes("gpu-0055"));
  });
  step("the server narrows the list");

  const desk = await (await context.browser().newContext()).newPage();
  await signIn(desk, world.console_url, world.user);
  await arrive(desk, `${world.console_url}/workloads?view=all`);
  await until(desk, "End", MANY);
  await launch(desk, { sku: "h100", name: "newest", ssh_key_ids: [] });
  await until(desk, "Home", 0);
  await rowAt(desk, 0).getByText("newest").waitFor();
  for (const at of [1, 30, 49, 50, 51, 52, 99, 100, 101]) {
    await until(desk, "PageDown", at);
    await rowAt(desk, at).getByText(`train-${String(MANY + 1 - at).padStart(5, "0")}`).waitFor();
  }
  await until(desk, "End", MANY + 1);
  step("what comes on top moves the rest down, and no row is lost or doubled");
});
