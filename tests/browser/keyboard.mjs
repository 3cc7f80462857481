// Launch, connect, release without a mouse: every control is reached by Tab and the arrows, and pressed by keys.
import { browse, screenHas, signIn } from "./kit.mjs";

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

await browse(async (page, { step, world }) => {
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
});
