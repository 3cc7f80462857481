// A person's way through the user console: sign up, key, launch, watch, terminal, reload, metrics, release.
import { browse, publicKey, screenHas } from "./kit.mjs";

await browse(async (page, { step, world }) => {
  // A wanted page is come back to after the sign-in; another site's is not.
  await page.goto(`${world.console_url}/workloads?view=history`);
  await page.waitForURL(/auth\/login/);
  await page.getByRole("tab", { name: "Work" }).click();
  await page.getByText("No identity provider is configured").waitFor();
  await page.getByRole("tab", { name: "Personal" }).click();
  await page.getByLabel("Username").fill("nobody-of-that-name");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("alert").waitFor();
  await page.waitForFunction(() => document.activeElement?.id === "refused");
  if ((await page.getByLabel("Username").inputValue()) !== "nobody-of-that-name") throw new Error("the username is gone");
  step("a wrong password is said, and read at once");

  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByLabel("Username").fill(`browser-${process.pid}`);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("heading", { name: "Workloads", level: 1 }).waitFor();
  if (!page.url().endsWith("/workloads?view=history")) throw new Error(`not where one wanted to go: ${page.url()}`);
  step("signed up, and where one wanted to go");

  await page.getByRole("link", { name: "Home" }).click();
  await page.getByRole("heading", { name: "First steps" }).waitFor();
  await page.waitForFunction(() => document.activeElement?.id === "page-title");
  await page.getByRole("link", { name: "Add an SSH key" }).click();
  await page.getByLabel("Public key").fill(publicKey("laptop"));
  await page.getByRole("button", { name: "Add key" }).click();
  await page.getByRole("cell", { name: "laptop" }).waitFor();
  step("key added");

  await page.getByRole("link", { name: "Launch", exact: true }).click();
  const chosen = page.locator(".choice:not([data-disabled])").first();
  const price = await chosen.getByText(/^\$\d+\.\d\d per hour$/).innerText();
  await chosen.click();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("Name (optional)").fill("from-the-browser");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("heading", { name: "Image" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Image" }).waitFor();
  step("a reload comes back to the same step");
  for (const name of ["Network", "Access", "Review"]) {
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByRole("heading", { name, level: 2 }).waitFor();
  }
  await page.getByText("from-the-browser").waitFor();
  await page.getByRole("region", { name: "Cost" }).getByText(price, { exact: true }).waitFor();
  step("the review says what the card said it costs");
  await page.getByRole("button", { name: "Launch" }).dblclick();
  await page.waitForURL(/\/tasks\/op_/);
  await page.getByRole("link", { name: "Go to the workload" }).click();
  await page.getByRole("heading", { name: "from-the-browser" }).waitFor();
  await page.getByText(price, { exact: true }).waitFor();
  const all = await page.evaluate(async () => (await (await fetch("/api/v1/workloads?view=all")).json()).counts.all);
  if (all !== 1) throw new Error(`a double click made ${all} workloads`);
  step("launched once and watched");

  await page.getByRole("tab", { name: "Connect" }).click();
  await page.getByText("ProxyCommand").waitFor();
  await page.getByRole("tab", { name: "Events" }).click();
  await page.getByRole("link", { name: /^Launch/ }).first().waitFor();
  await page.getByRole("tab", { name: "Config" }).click();
  await page.getByText("Interactive: runs until it is released").waitFor();

  await page.getByRole("button", { name: "Terminal" }).click();
  const terminal = page.getByRole("textbox", { name: "Terminal" });
  await page.getByText("Connected", { exact: true }).waitFor();
  await terminal.focus();
  await page.keyboard.type("echo $((6*7))-typed\n");
  await screenHas(page, "42-typed");
  await page.keyboard.type("KEPT=through-reload\n");
  step("terminal types and reads");

  await page.keyboard.type("echo set-$KEPT\n");
  await screenHas(page, "set-through-reload");
  await page.reload();
  await page.getByText("Connected", { exact: true }).waitFor();
  await screenHas(page, "42-typed");
  await terminal.focus();
  await page.keyboard.type("echo again-$KEPT\n");
  await screenHas(page, "again-through-reload");
  step("reload comes back to the same shell");

  const address = page.url();
  await page.goto("about:blank");
  const other = await page.context().newPage();
  await other.goto(address);
  await other.getByText("Connected", { exact: true }).waitFor();
  await other.getByRole("textbox", { name: "Terminal" }).focus();
  await other.keyboard.type("echo elsewhere-$KEPT\n");
  await screenHas(other, "elsewhere-through-reload");
  await other.close();
  await page.goto(address);
  await page.getByText("Connected", { exact: true }).waitFor();
  await screenHas(page, "elsewhere-through-reload");
  await terminal.focus();
  step("a page that was closed is followed by another on the same shell");

  await page.keyboard.type("exit 3\n");
  await page.getByText("The shell ended with code 3.").waitFor();
  await page.getByRole("button", { name: "New session" }).click();
  await page.getByText("Connected", { exact: true }).waitFor();
  step("an exit is seen at once, and followed by a new session");

  await terminal.focus();
  await page.keyboard.type("simgpu-use --load 91 --memory 20GiB\n");
  await page.getByRole("link", { name: "Back to the workload" }).click();
  await page.getByRole("tab", { name: "Metrics" }).click();
  await page.locator(".u-over").first().waitFor();
  await page.getByText("GPU: 91.0 %").waitFor();
  await page.getByRole("button", { name: "Show as a table" }).click();
  const busy = page.getByRole("row", { name: /^GPU busy, %/ });
  await busy.getByText("91.0").first().waitFor();
  const figures = await busy.innerText();
  if (!/0\.00/.test(figures)) throw new Error(`it was idle before: ${figures}`);
  await page.getByText("Changes appear at once").waitFor();
  step("metrics move with what runs, told by the stream");

  await page.getByRole("button", { name: "Release" }).click();
  const dialog = page.getByRole("alertdialog").or(page.getByRole("dialog"));
  await dialog.getByRole("button", { name: "Cancel" }).waitFor();
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  step("Enter does not confirm a release");
  await page.getByRole("button", { name: "Release" }).click();
  await dialog.getByRole("button", { name: "Release" }).click();
  await page.waitForURL(/\/tasks\/op_/);
  await page.getByText("It is done.").waitFor();
  await page.getByRole("link", { name: "View run" }).click();
  await page.waitForURL(/\/admin\/operations\/op_/);
  step("released");

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/auth\/login$/, { waitUntil: "load" });
  await page.getByLabel("Username").waitFor();
  await page.goBack();
  await page.getByLabel("Username").waitFor();
  step("signed out, and nothing is left to go back to");
});
