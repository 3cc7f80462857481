// What every script of the browser shares: a browser, a page that keeps its complaints, and steps with names.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../../console/package.json", import.meta.url))("playwright-core");

/** How long a condition may take on a busy machine. */
export const WITHIN = 60_000;

/** The ready file as it is now: process ids are new after every restart. */
export const ready = () => JSON.parse(readFileSync(process.argv[2], "utf8"));

/**
 * Runs `steps(page, { step, world, context })` in a browser of its own. A failure shows where the page was; what the page itself
 * complained about (a script's error, a breach of the content security policy) is a failure too.
 */
export async function browse(steps) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN);
  const wrong = [];
  const listen = (one) => {
    one.on("pageerror", (error) => wrong.push(String(error)));
    one.on("console", (line) => line.type() === "error" && /Content Security Policy/.test(line.text()) && wrong.push(line.text()));
  };
  listen(page);
  context.on("page", listen);
  let at = "the beginning";
  const step = (name) => {
    console.log(`ok  ${name}`);
    at = name;
  };
  try {
    await steps(page, { step, world: ready(), context });
    if (wrong.length > 0) throw new Error(`the browser complained: ${wrong.join("; ")}`);
  } catch (error) {
    console.error(`after "${at}", at ${page.url()}\n${await page.locator("body").innerText().catch(() => "")}`);
    if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT });
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/**
 * Goes to an address and waits until its page stands. Each allocation brings a network interface, and Chromium
 * drops what it loads when one comes or goes: then it is gone to once more.
 */
export async function arrive(page, url) {
  for (let left = 4; ; left -= 1) {
    try {
      await page.goto(url);
      await settled(page, left > 0 ? 10_000 : WITHIN);
      return;
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

/** The page has its heading, and nothing is being loaded. */
export async function settled(page, timeout = WITHIN) {
  await page.locator("h1").first().waitFor({ timeout });
  await page.waitForFunction(() => !document.querySelector(".skeleton"), undefined, { timeout });
}

/** What only whoever mends Muster should read: traces, faults of scripts, source files, words of the stores. */
const INTERNAL = /panicked|backtrace|\bat .+:\d+:\d+|\.(rs|tsx?|js):\d+|TypeError|ReferenceError|is not a function|\[object |\bundefined\b|\bNaN\b|sqlite|sqlstate|constraint failed|os error/i;

/** The first of it in what a page shows, or nothing. */
export const internal = async (page) => INTERNAL.exec(await page.locator("body").innerText())?.[0];

/** A public key as `ssh-keygen` makes it. */
export function publicKey(comment) {
  const folder = mkdtempSync(join(tmpdir(), "browser-"));
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", join(folder, "key")]);
  const line = readFileSync(join(folder, "key.pub"), "utf8").trim();
  rmSync(folder, { recursive: true });
  return line;
}

/** Signs in at a door with a name and a password. */
export async function signIn(page, url, { username, password }) {
  await page.goto(url);
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
}

/** Waits until the terminal's screen shows a text. The letters of a row are one element each; rows are read whole. */
export const screenHas = (page, text) =>
  page.waitForFunction((wanted) => document.querySelector(".xterm-rows")?.textContent?.includes(wanted), text);

/** The allocation of this world's user that a script needs, launched by the API of the page that is signed in. */
export async function launch(page, body) {
  const said = await page.evaluate(async (wanted) => {
    const me = await (await fetch("/api/v1/me")).json();
    const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token, "idempotency-key": crypto.randomUUID() };
    const answer = await fetch("/api/v1/allocations", { method: "POST", headers, body: JSON.stringify(wanted) });
    return { status: answer.status, body: await answer.json() };
  }, body);
  if (said.status !== 202) throw new Error(`no launch: ${JSON.stringify(said)}`);
  const id = said.body.allocation_ids[0];
  await page.waitForFunction(
    async (wanted) => (await (await fetch(`/api/v1/allocations/${wanted}`)).json()).state === "active",
    id,
    { polling: 200 },
  );
  return id;
}

/** A machine that is no node yet; it runs the agent's program of this world. */
export class Machine {
  constructor(world) {
    this.folder = mkdtempSync(join(tmpdir(), "machine-"));
    this.agent = readlinkSync(`/proc/${world.pids.agents[0].pid}/exe`);
    this.running = undefined;
  }

  start(args) {
    return spawn(this.agent, [...args, "--state-dir", this.folder], { stdio: "ignore" });
  }

  /** Runs the line that the console shows, to its end. */
  async paste(line) {
    const [program, ...args] = line.trim().split(/\s+/);
    if (program !== "muster-agent") throw new Error(`no line for the agent: ${line}`);
    const code = await new Promise((done) => this.start(args).on("exit", done));
    if (code !== 0) throw new Error(`the agent ended with ${code}`);
  }

  run() {
    this.running = this.start(["run"]);
  }

  async gone() {
    const { running } = this;
    if (running && running.exitCode === null) {
      const ended = new Promise((done) => running.on("exit", done));
      running.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
