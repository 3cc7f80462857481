// A person's way through the user console in a real browser, against a real world:
// sign up, key, launch, watch, terminal, reload, release. Usage: flow.mjs READY_FILE
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../../console/package.json", import.meta.url))("playwright-core");
const world = JSON.parse(readFileSync(process.argv[2], "utf8"));
const folder = mkdtempSync(join(tmpdir(), "browser-"));
execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "laptop", "-f", join(folder, "key")]);
const publicKey = readFileSync(join(folder, "key.pub"), "utf8").trim();

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const page = await browser.newPage();
page.setDefaultTimeout(30_000);
const wrong = [];
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (line) => line.type() === "error" && /Content Security Policy/.test(line.text()) && wrong.push(line.text()));

const said = (text) => console.log(`ok  ${text}`);
// Letters on the screen are one row an element; a row is read whole.
const screenHas = (text) =>
  page.waitForFunction((wanted) => document.querySelector(".xterm-rows")?.textContent?.includes(wanted), text);

try {
  await page.goto(world.console_url);
  await page.waitForURL(/auth\/login/);
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByLabel("Username").fill(`browser-${process.pid}`);
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("heading", { name: "Workloads" }).waitFor();
  said("signed up");

  await page.getByRole("link", { name: "SSH keys" }).click();
  await page.getByLabel("Public key").fill(publicKey);
  await page.getByRole("button", { name: "Add key" }).click();
  await page.getByRole("cell", { name: "laptop" }).waitFor();
  said("key added");

  await page.getByRole("link", { name: "Launch", exact: true }).click();
  await page.locator(".choice:not([data-disabled])").first().click();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("Name (optional)").fill("from-the-browser");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/tasks\/op_/);
  await page.getByRole("link", { name: "Go to the workload" }).click();
  await page.getByRole("heading", { name: "from-the-browser" }).waitFor();
  said("launched and watched");

  await page.getByRole("tab", { name: "Connect" }).click();
  await page.getByText("ProxyCommand").waitFor();
  await page.getByRole("button", { name: "Terminal" }).click();
  const terminal = page.getByRole("textbox", { name: "Terminal" });
  await page.getByText("Connected", { exact: true }).waitFor();
  await terminal.focus();
  await page.keyboard.type("echo $((6*7))-typed\n");
  await screenHas("42-typed");
  await page.keyboard.type("KEPT=through-reload\n");
  said("terminal types and reads");

  await page.waitForTimeout(1500);
  await page.reload();
  await page.getByText("Connected", { exact: true }).waitFor();
  await screenHas("42-typed");
  await terminal.focus();
  await page.keyboard.type("echo again-$KEPT\n");
  await screenHas("again-through-reload");
  said("reload comes back to the same shell");

  await page.getByRole("link", { name: "Back to the workload" }).click();
  await page.getByRole("button", { name: "Release" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Release" }).click();
  await page.waitForURL(/\/tasks\/op_/);
  await page.getByText("It is done.").waitFor();
  said("released");
  if (wrong.length > 0) throw new Error(`the browser complained: ${wrong.join("; ")}`);
} catch (error) {
  console.error(`at ${page.url()}\n${await page.locator("body").innerText().catch(() => "")}`);
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT });
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
