// The launch wizard: hardware and capacity, access, review; one idempotent submit. The draft survives a reload.
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { ask } from "../../api/http";
import type { Launch as Body, Launched, Precheck } from "../../api/types";
import { Button, Failed, Notice, Page } from "../../ui/kit";
import { keysQuery } from "../keys/Keys";
import { Access } from "./Access";
import { Hardware } from "./Hardware";
import { Review } from "./Review";
import { bodyOf, emptyDraft, type Draft } from "./draft";

const STEPS = ["Hardware", "Access", "Review"] as const;
const STORED = "launch-draft";

function stored(): Draft {
  try {
    return { ...emptyDraft(), ...(JSON.parse(sessionStorage.getItem(STORED) ?? "{}") as Partial<Draft>) };
  } catch {
    return emptyDraft();
  }
}

export function Launch({ sku }: { sku: string | undefined }) {
  const navigate = useNavigate();
  const [at, setAt] = useState(0);
  const [draft, setDraft] = useState<Draft>(() => ({ ...stored(), ...(sku ? { sku } : {}) }));
  const keys = useInfiniteQuery(keysQuery);
  const heading = useRef<HTMLHeadingElement>(null);
  const moved = useRef(false);

  useEffect(() => sessionStorage.setItem(STORED, JSON.stringify(draft)), [draft]);
  useEffect(() => {
    if (moved.current) heading.current?.focus();
  }, [at]);

  const change = (part: Partial<Draft>) => {
    launch.reset();
    precheck.reset();
    // Another request than before gets another key.
    setDraft((now) => ({ ...now, ...part, key: crypto.randomUUID() }));
  };
  const go = (to: number) => {
    moved.current = true;
    setAt(to);
  };
  const precheck = useMutation({
    mutationFn: (body: Body) => ask<Precheck>("/api/v1/launch/compute/precheck", { method: "POST", body }),
  });
  const launch = useMutation({
    mutationFn: (body: Body) => ask<Launched>("/api/v1/allocations", { method: "POST", body, key: draft.key }),
    onSuccess: ({ operation_id }) => {
      sessionStorage.removeItem(STORED);
      void navigate({ to: "/tasks/$id" as string, params: { id: operation_id } as never });
    },
  });

  const noKey = keys.data?.length === 0;
  const blocked = [
    draft.sku ? undefined : "Choose hardware first.",
    noKey && !draft.command.trim() && draft.ssh ? "Add a key, give a command, or go without SSH." : undefined,
    undefined,
  ][at];
  const next = () => {
    if (at === 1) precheck.mutate(bodyOf(draft));
    go(at + 1);
  };

  return (
    <Page title="Launch a workload">
      <ol className="trail" aria-label="Steps of the launch">
        {STEPS.map((step, index) => (
          <li key={step} {...(index === at ? { "aria-current": "step" as const } : {})} data-done={index < at || undefined}>
            {index + 1}. {step}
          </li>
        ))}
      </ol>
      <section className="stack">
        <h2 ref={heading} tabIndex={-1}>
          {STEPS[at]}
        </h2>
        {at === 0 && <Hardware chosen={draft.sku} onChoose={(name) => change({ sku: name })} />}
        {at === 1 && <Access draft={draft} change={change} keys={keys} />}
        {at === 2 && <Review draft={draft} />}
        {at === 2 && precheck.data && !precheck.data.launchable && (
          <Notice tone="warn" title="This cannot be launched as it is">
            <ul>
              {precheck.data.blockers.map((one) => (
                <li key={one.code}>{one.detail}</li>
              ))}
            </ul>
          </Notice>
        )}
        {at === 2 && precheck.error && <Failed error={precheck.error} />}
        {launch.error && <Failed error={launch.error} />}
        <div className="row">
          {at > 0 && <Button onPress={() => go(at - 1)}>Back</Button>}
          {at < 2 ? (
            <Button look="primary" blocked={blocked} onPress={next}>
              Next
            </Button>
          ) : (
            <Button
              look="primary"
              isPending={launch.isPending || precheck.isPending}
              blocked={precheck.data && !precheck.data.launchable ? "See above what stands in the way." : undefined}
              onPress={() => launch.mutate(bodyOf(draft))}
            >
              Launch
            </Button>
          )}
        </div>
      </section>
    </Page>
  );
}
