// A terminal outlives its line: a coordinator that is killed, a network that is cut, a window that takes over; and a
// large paste arrives whole.
import { createHash } from "node:crypto";
import net from "node:net";
import { browse, launch, ready, screenHas, signIn } from "./kit.mjs";

/** A door in front of the door, whose connections can be cut and refused. */
function cable(url) {
  const { hostname, port } = new URL(url);
  const open = new Set();
  let cut = false;
  const server = net.createServer((near) => {
    if (cut) return near.destroy();
    const far = net.connect({ host: hostname, port: Number(port) });
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.on("close", () => { open.delete(one); other.destroy(); });
      one.on("error", () => other.destroy());
      one.pipe(other);
    }
  });
  return new Promise((done) => {
    server.listen(0, "127.0.0.1", () =>
      done({
        url: `http://127.0.0.1:${server.address().port}`,
        cut: () => { cut = true; open.forEach((one) => one.destroy()); },
        mend: () => { cut = false; },
        close: () => { open.forEach((one) => one.destroy()); server.close(); },
      }),
    );
  });
}

await browse(async (page, { step, world, context }) => {
  const line = await cable(world.console_url);
  await signIn(page, line.url, world.user);
  const id = await launch(page, { sku: "h100", name: "lasting", ssh_key_ids: [] });
  await page.goto(`${line.url}/workloads/${id}/terminal`);
  const connected = () => page.getByText("Connected", { exact: true }).waitFor();
  const type = async (text) => {
    await page.getByRole("textbox", { name: "Terminal" }).focus();
    await page.keyboard.type(text);
  };
  await connected();
  await type("KEPT=whole; for i in $(seq 3); do echo line-$i-$((i*11)); done\n");
  await screenHas(page, "line-3-33");
  step("a terminal through the cable");

  // What the program prints while nobody is there is there afterwards.
  await type("sleep 3; echo made-$((20+3))-meanwhile\n");
  line.cut();
  await page.getByText("Not connected", { exact: true }).waitFor();
  await new Promise((done) => setTimeout(done, 3500));
  line.mend();
  await connected();
  await screenHas(page, "made-23-meanwhile");
  await screenHas(page, "line-3-33");
  step("comes back after the network was cut, with what was printed meanwhile");

  await type("echo before-$((4*4))-kill\n");
  await screenHas(page, "before-16-kill");
  const { coordinator } = ready().pids;
  process.kill(coordinator, "SIGKILL");
  await page.getByText("Not connected", { exact: true }).waitFor();
  await connected();
  if (ready().pids.coordinator === coordinator) throw new Error("the coordinator was not killed");
  await type("echo after-$KEPT-kill\n");
  await screenHas(page, "after-whole-kill");
  await screenHas(page, "before-16-kill");
  step("comes back after the coordinator was killed, to the same shell");

  // Lines of a hundred letters, none like another, so that a lost or doubled one shows.
  const lines = Array.from({ length: 20_000 }, (_, at) => `${String(at).padStart(6, "0")} ${"x".repeat(92)}`);
  const text = `${lines.join("\n")}\n`;
  const wanted = createHash("sha256").update(text).digest("hex");
  await type("clear; stty -echo; echo ready-$((1+1)); cat > paste; stty echo; sha256sum < paste; wc -c < paste\n");
  // From here on cat reads, and the shell no longer asks for pastes in brackets.
  await screenHas(page, "ready-2");
  await page.getByRole("textbox", { name: "Terminal" }).evaluate((at, pasted) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", pasted);
    at.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, text);
  await page.getByText(/of what you pasted are still being taken/).waitFor();
  await page.getByText(/of what you pasted are still being taken/).waitFor({ state: "detached", timeout: 120_000 });
  await page.getByRole("textbox", { name: "Terminal" }).press("Control+d");
  await screenHas(page, wanted.slice(0, 40));
  step(`a paste of ${text.length} bytes arrives whole`);

  const [popup] = await Promise.all([context.waitForEvent("page"), page.getByRole("button", { name: "Own window" }).click()]);
  await popup.getByText("Connected", { exact: true }).waitFor();
  await screenHas(popup, wanted.slice(0, 40));
  await page.getByText("This session was opened in another window.").waitFor();
  await page.getByRole("button", { name: "Take it back" }).click();
  await connected();
  await popup.close();
  step("a window of its own takes the session over, and the page takes it back");

  const columns = async (tag) => {
    await type(`clear; echo ${tag}-$(tput cols)-\n`);
    await page.waitForFunction((word) => new RegExp(`${word}-\\d+-`).test(document.querySelector(".xterm-rows")?.textContent ?? ""), tag);
    return Number(new RegExp(`${tag}-(\\d+)-`).exec(await page.locator(".xterm-rows").textContent())[1]);
  };
  const wide = await columns("wide");
  for (let presses = 0; presses < 6; presses += 1) await page.getByRole("button", { name: "Larger text" }).click();
  await page.waitForFunction(() => /Connected/.test(document.body.textContent));
  const narrow = await columns("narrow");
  if (narrow >= wide) throw new Error(`larger letters make ${narrow} columns of ${wide}`);
  step(`the shell follows the size of letters: ${wide} columns, then ${narrow}`);

  const path = `/api/v1/allocations/${id}/release`;
  await page.evaluate(async (to) => {
    const me = await (await fetch("/api/v1/me")).json();
    const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token, "idempotency-key": crypto.randomUUID() };
    await fetch(to, { method: "POST", headers, body: "{}" });
  }, path);
  await page.getByText("This workload is over").or(page.getByText("its terminals are closed")).first().waitFor();
  step("a release is said in the terminal");
  line.close();
});
