// Nothing on a user's pages is inert. Usage: inert_user.mjs READY_FILE
import { browse, launch, publicKey, signIn } from "./kit.mjs";
import { crawl } from "./crawl.mjs";

/** Something of each kind that has pages or buttons of its own: a key, a project, a workload that runs, one that is over. */
async function fill(page) {
  const id = await launch(page, { sku: "h100", name: "something", ssh_key_ids: [] });
  const over = await launch(page, { sku: "h100", name: "over", ssh_key_ids: [] });
  const made = await page.evaluate(
    async ({ over, key }) => {
      const me = await (await fetch("/api/v1/me")).json();
      const ask = async (path, body) => {
        const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token, "idempotency-key": crypto.randomUUID() };
        const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
        if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
        return answer.json();
      };
      await ask("/api/v1/ssh-keys", { name: "laptop", public_key: key });
      const project = await ask("/api/v1/projects", { name: "research" });
      const task = (await ask(`/api/v1/allocations/${over}/release`, {})).operation_id;
      while ((await (await fetch(`/api/v1/allocations/${over}`)).json()).state !== "released") await new Promise((done) => setTimeout(done, 200));
      return { project: project.id, task };
    },
    { over, key: publicKey("laptop") },
  );
  return { id, over, ...made };
}

await browse(async (page, { step, world }) => {
  await signIn(page, world.console_url, world.user);
  const { id, over, project, task } = await fill(page);
  const pages = [
    "/",
    "/workloads",
    "/workloads?view=history",
    `/workloads/${id}`,
    `/workloads/${id}?tab=connect`,
    `/workloads/${id}?tab=metrics`,
    `/workloads/${id}?tab=events`,
    `/workloads/${id}?tab=config`,
    `/workloads/${id}/terminal`,
    `/workloads/${over}`,
    "/tasks",
    `/tasks/${task}`,
    "/admin/operations",
    `/admin/operations/${task}`,
    "/compute",
    "/launch/compute",
    `/launch/compute?from=${over}`,
    "/access/projects",
    `/access/projects/${project}`,
    "/access/credentials",
    "/access/api-keys",
    "/account/profile",
    "/account/security",
    "/account/sessions",
    "/developer/docs",
    "/developer/downloads",
    "/developer/api",
  ];
  await crawl(page, world.console_url, pages, step);
});
