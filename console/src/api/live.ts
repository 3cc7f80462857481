// What is on the page stays true: one event stream a tab tells what changed, and what depends on it is asked for
// again; figures come along as they are measured. While the stream is down, pages ask by themselves.
import type { QueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";

const STREAM = "/api/v1/events/stream";
/** Changes come in bursts: one more question for each burst, and while they do not end one a second. */
const GATHER_MS = 150;
const AGAIN_MS = 1000;
/** How often pages ask although the stream is up: a word may have been lost. */
const SLOW_MS = 30_000;
const BACK_MS = 5_000;

const OF_USERS: Record<string, string[]> = {
  allocations: ["allocations"],
  workloads: ["allocations"],
  operations: ["operations"],
  tasks: ["operations"],
  home: ["allocations"],
  projects: ["projects"],
};
const OF_STAFF: Record<string, string[]> = {
  allocations: ["allocations"],
  nodes: ["nodes", "slots", "allocations"],
  skus: ["skus", "slots"],
  "bootstrap-tokens": ["tokens"],
  overview: ["nodes", "slots", "allocations", "operations"],
  attention: ["nodes", "slots", "allocations", "operations"],
};

/** Which topics of the stream an address depends on. */
export function topicsOf(path: string): readonly string[] {
  const [, staff, noun = ""] = /^\/api\/v1\/(admin\/)?([^/?]*)/.exec(path) ?? [];
  return (staff ? OF_STAFF : OF_USERS)[noun] ?? [];
}

let up = false;
const watchers = new Set<() => void>();

function setUp(now: boolean): void {
  if (up === now) return;
  up = now;
  watchers.forEach((watcher) => watcher());
}

/** Whether changes are told by the stream. */
export function useLiveUp(): boolean {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => up,
  );
}

/** How often to ask for something that should be asked for every `every` ms where nobody tells of changes. */
export function pace(path: string, every: number | false): number | false {
  if (every === false || !up || topicsOf(path).length === 0) return every;
  return Math.max(every, SLOW_MS);
}

/** For `enabled`: a page that is held still asks for nothing but what it does not have at all. */
export function unlessHeld(held: boolean): (query: { state: { data: unknown } }) => boolean {
  return (query) => !held || query.state.data === undefined;
}

type Hear = (figures: unknown) => void;
const figures = new Map<string, Set<Hear>>();
let lookAgain: () => void = () => {};

/** Hears the figures of a topic (`metrics:al_…`) for as long as the part is on the page. `hear` must not change. */
export function useFigures(topic: string | undefined, hear: Hear): void {
  useEffect(() => {
    if (!topic) return undefined;
    const hearers = figures.get(topic) ?? new Set();
    figures.set(topic, hearers.add(hear));
    lookAgain();
    return () => {
      hearers.delete(hear);
      if (hearers.size === 0) figures.delete(topic);
      lookAgain();
    };
  }, [topic, hear]);
}

/** Keeps the stream open for whatever is on the page. Returns how to stop. */
export function follow(client: QueryClient): () => void {
  let source: EventSource | undefined;
  let open = "";
  let last = "";
  let told = 0;
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let looking: ReturnType<typeof setTimeout> | undefined;
  const changed = new Set<string>();

  // With the stream the coordinator may be gone. A page that waited for its own turn would say so late, and each at
  // another time; what failed meanwhile is asked for again with the stream's return.
  const lost = () => {
    if (up) void client.invalidateQueries(undefined, { cancelRefetch: false });
    setUp(false);
  };
  const back = () => {
    setUp(true);
    void client.invalidateQueries({ predicate: ({ state }) => state.status === "error" });
  };
  const tell = () => {
    gathering = undefined;
    const topics = new Set(changed);
    const predicate = ({ queryKey: [path] }: { queryKey: readonly unknown[] }) => typeof path === "string" && topicsOf(path).some((topic) => topics.has(topic));
    // A list that is asked for its next page would be interrupted, and never come to its end where changes do not end.
    if (client.getQueryCache().findAll({ predicate, fetchStatus: "fetching" }).some(({ state }) => state.fetchMeta?.fetchMore)) {
      gathering = setTimeout(tell, GATHER_MS);
      return;
    }
    changed.clear();
    told = Date.now();
    void client.invalidateQueries({ predicate });
  };
  const on = (made: EventSource, name: string, act: (data: Record<string, unknown>) => void) =>
    made.addEventListener(name, (event: MessageEvent<string>) => {
      if (event.lastEventId) last = event.lastEventId;
      act(safe(event.data));
    });
  const connect = () => {
    source?.close();
    clearTimeout(retry);
    if (!open) return setUp(false);
    const made = new EventSource(`${STREAM}?topics=${encodeURIComponent(open)}&last_event_id=${encodeURIComponent(last)}`);
    source = made;
    on(made, "ready", back);
    on(made, "resync", () => {
      setUp(true);
      void client.invalidateQueries();
    });
    on(made, "change", ({ topic }) => {
      changed.add(String(topic));
      gathering ??= setTimeout(tell, Math.max(GATHER_MS, told + AGAIN_MS - Date.now()));
    });
    on(made, "metrics", (data) => figures.get(String(data["topic"]))?.forEach((hear) => hear(data)));
    on(made, "end", () => {
      made.close();
      setUp(false);
      // Whoever is signed out hears it from the next question.
      void client.invalidateQueries({ queryKey: ["me"] });
      retry = setTimeout(connect, BACK_MS);
    });
    made.onerror = () => {
      lost();
      // The browser comes back by itself, except after an answer that was no stream.
      if (made.readyState === EventSource.CLOSED) retry = setTimeout(connect, BACK_MS);
    };
  };
  const look = () => {
    looking = undefined;
    const topics = new Set(figures.keys());
    for (const query of client.getQueryCache().getAll()) {
      const [path] = query.queryKey;
      if (query.getObserversCount() > 0 && typeof path === "string") topicsOf(path).forEach((topic) => topics.add(topic));
    }
    const wanted = [...topics].sort().join(",");
    if (wanted === open) return;
    open = wanted;
    connect();
  };
  lookAgain = () => {
    looking ??= setTimeout(look, GATHER_MS);
  };
  const unsubscribe = client.getQueryCache().subscribe((event) => {
    if (event.type === "observerAdded" || event.type === "observerRemoved") lookAgain();
  });
  look();
  return () => {
    unsubscribe();
    lookAgain = () => {};
    [gathering, retry, looking].forEach((timer) => clearTimeout(timer));
    source?.close();
    setUp(false);
  };
}

function safe(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
