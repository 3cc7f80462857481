// Nothing on the operator's pages is inert. Usage: inert.mjs READY_FILE
import { browse, launch, signIn } from "./kit.mjs";
import { crawl } from "./crawl.mjs";

await browse(async (page, { step, world, context }) => {
  const desk = await (await context.browser().newContext()).newPage();
  await signIn(desk, world.console_url, world.user);
  await launch(desk, { sku: "h100", name: "something", ssh_key_ids: [] });
  await signIn(page, world.operator_url, world.operator);
  const node = world.pids.agents[0].node_id;
  const [run] = (await page.evaluate(async () => (await fetch("/api/v1/operations")).json())).items;
  const [user] = (await page.evaluate(async () => (await fetch("/api/v1/admin/users")).json())).items;
  const pages = [
    "/platform/overview",
    "/platform/lifecycle",
    "/platform/lifecycle/tokens",
    `/platform/lifecycle/nodes/${node}`,
    `/platform/lifecycle/nodes/${node}?tab=metrics`,
    `/platform/allocations`,
    "/platform/config/skus",
    `/platform/users/${user.id}`,
    "/platform/evidence",
    `/admin/operations/${run.id}`,
  ];
  await crawl(page, world.operator_url, pages, step);
});
