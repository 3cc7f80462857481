// What the person has chosen so far, the request it becomes, and where it is kept until it is sent.
import { ask } from "../../api/http";
import type { Allocation, Launch } from "../../api/types";

export interface Draft {
  /** Same request, same key: a double click is one launch. */
  key: string;
  /** The step that was on the screen. */
  step: number;
  sku: string;
  count: number;
  name: string;
  /** Empty is the default project. */
  project: string;
  image: string;
  /** One line as in a shell; empty is interactive. */
  command: string;
  releaseOnExit: boolean;
  /** Hours; empty is no limit. */
  hours: string;
  /** Lines of `NAME=value`. */
  env: string;
  /** `all` of one's keys, those `chosen`, or `none`. */
  access: "all" | "chosen" | "none";
  keys: string[];
}

export function emptyDraft(): Draft {
  return {
    key: crypto.randomUUID(),
    step: 0,
    sku: "",
    count: 1,
    name: "",
    project: "",
    image: "host",
    command: "",
    releaseOnExit: false,
    hours: "",
    env: "",
    access: "all",
    keys: [],
  };
}

export function bodyOf(draft: Draft): Launch {
  const command = draft.command.trim();
  const env = envOf(draft.env);
  const hours = Number(draft.hours);
  return {
    sku: draft.sku,
    ...(draft.count > 1 ? { count: draft.count } : {}),
    ...(draft.name.trim() ? { name: draft.name.trim() } : {}),
    ...(draft.project ? { project_id: draft.project } : {}),
    ...(draft.image && draft.image !== "host" ? { image: draft.image } : {}),
    ...(command ? { command: ["sh", "-c", command], release_on_exit: draft.releaseOnExit } : {}),
    ...(command && hours > 0 ? { max_runtime_s: Math.round(hours * 3600) } : {}),
    ...(Object.keys(env).length > 0 ? { env } : {}),
    ...(draft.access === "all" ? {} : { ssh_key_ids: draft.access === "none" ? [] : draft.keys }),
  } as Launch;
}

/** `NAME=value` a line; lines without `=` are names without a value. */
function envOf(text: string): Record<string, string> {
  const env: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const cut = line.indexOf("=");
    const name = (cut < 0 ? line : line.slice(0, cut)).trim();
    if (name) env[name] = cut < 0 ? "" : line.slice(cut + 1);
  }
  return env;
}

/** A draft that asks for what a workload was asked to be. Values of its environment are shown to nobody. */
export function copyOf(one: Allocation): Partial<Draft> {
  const words = one.command ?? [];
  return {
    sku: one.sku,
    name: one.name,
    project: one.project_id,
    command: words[0] === "sh" && words[1] === "-c" && words.length === 3 ? (words[2] ?? "") : words.join(" "),
    releaseOnExit: one.release_on_exit,
    hours: one.max_runtime_s ? String(one.max_runtime_s / 3600) : "",
    env: one.env.map((name) => `${name}=`).join("\n"),
    access: one.ssh_key_ids.length > 0 ? "chosen" : "none",
    keys: one.ssh_key_ids,
  };
}

const STORED = "launch-draft";
const ROUTE = "/api/v1/launch/drafts/compute";

/** As it was left in this tab. */
export function storedHere(): Draft | undefined {
  try {
    const text = sessionStorage.getItem(STORED);
    return text ? { ...emptyDraft(), ...(JSON.parse(text) as Partial<Draft>) } : undefined;
  } catch {
    return undefined;
  }
}

/** As it was left in another tab or browser. */
export async function storedThere(): Promise<Draft | undefined> {
  try {
    const { body } = await ask<{ body: Partial<Draft> }>(ROUTE);
    return { ...emptyDraft(), ...body };
  } catch {
    return undefined;
  }
}

export function keepHere(draft: Draft): void {
  sessionStorage.setItem(STORED, JSON.stringify(draft));
}

/** A draft that cannot be kept at the coordinator is still in this tab. */
export async function keepThere(draft: Draft): Promise<void> {
  await ask(ROUTE, { method: "PUT", body: draft }).catch(() => undefined);
}

export async function forget(): Promise<void> {
  sessionStorage.removeItem(STORED);
  await ask(ROUTE, { method: "DELETE" }).catch(() => undefined);
}
