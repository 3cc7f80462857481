// An operator's way through the operator console in a real browser, against a real world: mint a token, a real
// agent enrols with the line shown, approve, probe, slots, drain; force-release; evidence.
// Usage: operator.mjs READY_FILE
import { Machine, arrive, browse, launch, signIn } from "./kit.mjs";

const dialog = (page) => page.getByRole("dialog");

/** Presses a button that asks first, and says yes. */
async function sure(page, word, fill = async () => {}) {
  await page.getByRole("button", { name: word, exact: true }).first().click();
  await fill(dialog(page));
  await dialog(page).getByRole("button", { name: word, exact: true }).click();
  await dialog(page).waitFor({ state: "detached" });
}

const because = (why) => (box) => box.getByLabel("Reason").fill(why);

async function evidence(page, step) {
  await page.getByRole("link", { name: "Audit log", exact: true }).first().click();
  await page.getByRole("heading", { name: "Audit log", level: 1 }).waitFor();
  await page.getByLabel("Action, such as nodes.").fill("allocations.force_release");
  await page.waitForURL(/action=allocations\.force_release/);
  const row = page.getByRole("button", { name: "allocations.force_release" });
  await row.focus();
  await page.keyboard.press("Enter");
  await dialog(page).getByText("it burns money").waitFor();
  const address = page.url();
  if (!/event=ev_/.test(address)) throw new Error(`the drawer is not in the address: ${address}`);
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement?.textContent === "allocations.force_release");
  step("the audit log opens by Enter, closes by Escape and gives the focus back");

  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Export as CSV" }).click()]);
  if (file.suggestedFilename() !== "muster-audit.csv") throw new Error(`a file called ${file.suggestedFilename()}`);
  await page.getByRole("button", { name: "Verify the chain" }).click();
  await page.getByText("The chain holds").waitFor();
  step("exported, and the chain holds");
  await arrive(page, address);
  await dialog(page).getByText("it burns money").waitFor();
  step("an address opens the same event");
}

await browse(async (page, { step, world, context }) => {
  const machine = new Machine(world);
  try {
    await signIn(page, world.operator_url, world.operator);
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.getByRole("link", { name: /^Lifecycle/ }).first().click();
    await page.getByRole("link", { name: "Add a node" }).click();
    await page.getByRole("button", { name: "Make token" }).click();
    const line = await page.locator(".notice .copy code").innerText();
    step("minted a token");

    await machine.paste(line);
    await page.getByRole("button", { name: "I have it" }).click();
    if (await page.getByText(line).count()) throw new Error("the secret is shown twice");
    await page.getByRole("link", { name: /^Lifecycle/ }).first().click();
    await page.getByRole("link", { name: /^Review.*waits for approval/ }).click();
    await page.getByRole("heading", { name: "Operations" }).waitFor();
    const node = new URL(page.url()).pathname.split("/").pop();
    await page.getByText("Its agent is not connected.").or(page.getByText("It is not in service.")).first().waitFor();
    await sure(page, "Approve");
    machine.run();
    await page.getByRole("status").getByText("Active").waitFor();
    step("a real agent enrolled and was approved");

    await sure(page, "Probe");
    const progress = page.getByRole("region", { name: "nodes.probe" });
    await progress.getByText("Succeeded").first().waitFor();
    await progress.getByRole("link", { name: "View run" }).waitFor();
    step("probed, with its steps on the page");

    await page.getByRole("tab", { name: "Slices" }).click();
    await sure(page, "Approve all 4 slots that wait");
    await page.getByRole("img", { name: /CPU/ }).waitFor();
    await sure(page, "Quarantine", because("the fan rattles"));
    await page.getByRole("cell", { name: "the fan rattles" }).waitFor();
    await sure(page, "Clear hold", because("a new fan"));
    await page.getByRole("cell", { name: "the fan rattles" }).waitFor({ state: "detached" });
    step("slots approved, held back and cleared");

    await sure(page, "Drain");
    await page.getByRole("status").getByText("Maintenance").first().waitFor();
    await page.getByRole("tab", { name: "Activity" }).click();
    await page.getByRole("cell", { name: "nodes.drain" }).first().waitFor();
    await page.getByRole("cell", { name: "a new fan" }).waitFor();
    step("drained, and the activity tells all of it");

    const other = await context.browser().newContext();
    const desk = await other.newPage();
    await signIn(desk, world.console_url, world.user);
    const allocation = await launch(desk, { sku: "h100", name: "runaway", ssh_key_ids: [] });
    await page.getByRole("link", { name: /^Allocations/ }).first().click();
    await page.getByRole("button", { name: "runaway" }).click();
    await page.waitForURL(new RegExp(`open=${allocation}`));
    await page.getByRole("dialog").getByRole("button", { name: "Force-release" }).click();
    const ask = page.getByRole("dialog", { name: /by force/ });
    const yes = ask.getByRole("button", { name: "Force-release" });
    if (await yes.isEnabled()) throw new Error("it can be forced without a reason");
    await ask.getByLabel("Reason").fill("it burns money");
    await yes.click();
    await page.waitForURL(/\/admin\/operations\/op_/);
    await page.getByRole("status").getByText("Succeeded").waitFor();
    await page.getByRole("link", { name: "Node", exact: true }).waitFor();
    const seen = await desk.evaluate(async (id) => (await fetch(`/api/v1/allocations/${id}`)).json(), allocation);
    if (seen.forced?.by !== world.operator.username || seen.forced?.reason !== "it burns money") throw new Error(`the owner sees ${JSON.stringify(seen.forced)}`);
    await other.close();
    step("ended by force; its owner sees who and why");

    await page.getByRole("link", { name: "SKUs", exact: true }).click();
    await page.getByRole("button", { name: "Price of h100", exact: true }).click();
    const amount = dialog(page).getByLabel("New price per hour, USD");
    await amount.fill("3.001");
    await dialog(page).getByText("This is not an amount of that currency.").waitFor();
    await dialog(page).getByLabel("From a later time on").check();
    await dialog(page).getByLabel("From", { exact: true }).fill("2020-01-01T00:00");
    await amount.fill("3");
    await dialog(page).getByRole("button", { name: "Set price" }).click();
    await dialog(page).getByText("A price cannot begin in the past").waitFor();
    await dialog(page).getByLabel("From a later time on").uncheck();
    await dialog(page).getByRole("button", { name: "Set price" }).click();
    await dialog(page).waitFor({ state: "detached" });
    await page.getByRole("row", { name: /^h100 / }).getByText("$3.00", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Price of h100", exact: true }).click();
    await dialog(page).getByRole("cell", { name: "$2.49" }).waitFor();
    await page.keyboard.press("Escape");
    step("a price is set, and those before it are kept");

    await evidence(page, step);
    await arrive(page, `${world.operator_url}/platform/lifecycle/nodes/${node}?tab=tasks`);
    await page.getByRole("tab", { name: "Tasks", selected: true }).waitFor();
    step("an address opens the same tab");
  } finally {
    await machine.gone();
  }
});
