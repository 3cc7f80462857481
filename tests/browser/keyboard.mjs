// Launch, connect, release, and let a node in without a mouse: every control is reached by Tab and the arrows, and
// pressed by keys.
import { Machine, browse, screenHas, signIn } from "./kit.mjs";

/** What has the focus, as a screen reader would name it. */
const focused = (page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    const label = at?.getAttribute("aria-label") ?? (at?.labels?.[0]?.textContent || at?.textContent) ?? "";
    return `${at?.tagName.toLowerCase()} ${label.trim()}`;
  });

/** Presses Tab until something with this name has the focus. */
async function tabTo(page, wanted, { back = false, most = 120 } = {}) {
  for (let presses = 0; presses < most; presses += 1) {
    if (wanted.test(await focused(page))) return;
    await page.keyboard.press(back ? "Shift+Tab" : "Tab");
  }
  throw new Error(`Tab does not reach ${wanted}; it stands at "${await focused(page)}"`);
}

/** A machine that asks to be a node, with a token of the operator who is signed in. */
async function enrol(page, machine) {
  const token = await page.evaluate(async () => {
    const me = await (await fetch("/api/v1/me")).json();
    const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token, "idempotency-key": crypto.randomUUID() };
    return (await fetch("/api/v1/admin/bootstrap-tokens", { method: "POST", headers, body: "{}" })).json();
  });
  await machine.paste(token.command);
}

async function approve(page, { step, world, context }) {
  const machine = new Machine(world);
  const desk = await (await context.browser().newContext()).newPage();
  try {
    await signIn(desk, world.operator_url, world.operator);
    await enrol(desk, machine);
    await tabTo(desk, /^a Lifecycle/);
    await desk.keyboard.press("Enter");
    await desk.getByRole("link", { name: /^Review.*waits for approval/ }).waitFor();
    await tabTo(desk, /^a Review.*waits for approval/);
    await desk.keyboard.press("Enter");
    const opens = () => tabTo(desk, /^button Approve$/).then(() => desk.keyboard.press("Enter")).then(() => desk.getByRole("dialog").waitFor());
    await desk.getByRole("button", { name: "Approve" }).waitFor();
    await opens();
    await desk.keyboard.press("Escape");
    await desk.getByRole("dialog").waitFor({ state: "detached" });
    await opens();
    await tabTo(desk, /^button Approve$/);
    await desk.keyboard.press("Enter");
    await desk.getByRole("dialog").waitFor({ state: "detached" });
    // The button is disabled now; the next stop is still among the operations.
    await desk.waitForFunction(() => document.activeElement?.matches("[aria-labelledby=panel-head]"));
    await desk.keyboard.press("Tab");
    if (!/^button Name and labels$/.test(await focused(desk))) throw new Error(`after the approval Tab goes to "${await focused(desk)}"`);
    machine.run();
    await desk.getByRole("status").getByText("Active").waitFor();
    step("a node is approved by keys");
  } finally {
    await desk.context().close();
    await machine.gone();
  }
}

await browse(async (page, { step, world, context }) => {
  await signIn(page, world.console_url, world.user);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("Tab");
  if (!/Skip to content/.test(await focused(page))) throw new Error(`the first stop is "${await focused(page)}"`);
  step("the first stop skips to the content");

  await tabTo(page, /^a Launch$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Launch a workload" }).waitFor();
  await page.locator(".choice:not([data-disabled])").first().waitFor();
  await tabTo(page, /^input .*of \d+ free/);
  await page.keyboard.press("Space");
  await page.locator(".choice[data-selected]").waitFor();
  for (const name of ["Capacity", "Image", "Network", "Access"]) {
    await tabTo(page, /^button Next$/);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name, level: 2 }).waitFor();
    await page.waitForFunction((wanted) => document.activeElement?.textContent === wanted, name);
  }
  step("each step takes the focus");
  // No SSH key is needed: the last of the three ways.
  await tabTo(page, /^input All my SSH keys/);
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction(() => /No SSH/.test(document.querySelector(".choice[data-selected]")?.textContent ?? ""));
  await tabTo(page, /^button Next$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Review", level: 2 }).waitFor();
  await page.getByRole("button", { name: "Launch", exact: true, disabled: false }).waitFor();
  await tabTo(page, /^button Launch$/);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/tasks\/op_/);
  await page.getByRole("link", { name: "Go to the workload" }).waitFor();
  await tabTo(page, /^a Go to the workload$/);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/workloads\/al_/);
  step("launched by keys");

  await page.getByRole("button", { name: "Terminal", disabled: false }).waitFor();
  await tabTo(page, /^button Terminal$/);
  await page.keyboard.press("Enter");
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Terminal");
  await page.keyboard.type("echo $((40+2))-by-keys\n");
  await screenHas(page, "42-by-keys");
  await page.keyboard.press("Shift+F6");
  await page.waitForFunction(() => document.activeElement?.closest("[role=toolbar]"));
  step("the terminal takes the focus, and Shift+F6 gives it back");

  await tabTo(page, /^a Back to the workload$/, { back: true });
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/workloads\/al_\w+$/);
  await page.getByRole("button", { name: "Release" }).waitFor();
  await tabTo(page, /^button Release$/);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement?.textContent === "Release");
  step("Escape leaves the dialog, and the focus is where it was");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await tabTo(page, /^button Release$/);
  await page.keyboard.press("Space");
  await page.waitForURL(/\/tasks\/op_/);
  await page.getByText("It is done.").waitFor();
  step("released by keys");

  await approve(page, { step, world, context });
});
