// The launch wizard: six steps, one draft that outlives the page, one idempotent submit.
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { at } from "../../api/at";
import { Problem, ask } from "../../api/http";
import { oneQuery } from "../../api/lists";
import { useMayNot } from "../../api/me";
import type { Launched, Launch as Body } from "../../api/types";
import { Button, Failed, Loading, Page, say, useGo } from "../../ui/kit";
import { keysQuery } from "../keys/Keys";
import { AccessStep } from "./AccessStep";
import { Blockers } from "./Blockers";
import { CapacityStep } from "./CapacityStep";
import { HardwareStep } from "./HardwareStep";
import { ImageStep } from "./ImageStep";
import { NetworkStep } from "./NetworkStep";
import { Review } from "./Review";
import { bodyOf, copyOf, emptyDraft, forget, keepHere, keepThere, storedHere, storedThere, type Draft } from "./draft";
import { usePrecheck } from "./precheck";

export const STEPS = ["Hardware", "Capacity", "Image", "Network", "Access", "Review"] as const;
const REVIEW = STEPS.length - 1;
const SAVE_MS = 700;

/** Begins with what the address asks for, else with the draft that was left. */
export function Launch({ sku, from }: { sku: string | undefined; from: string | undefined }) {
  const copied = useQuery({ ...oneQuery(at("/api/v1/allocations/{id}", { id: from ?? "" })), enabled: Boolean(from) });
  const [begun, begin] = useState<Draft>();
  useEffect(() => {
    if (begun) return;
    if (from) {
      if (copied.data) begin({ ...emptyDraft(), ...copyOf(copied.data) });
      return;
    }
    const here = storedHere();
    if (sku) begin({ ...(here ?? emptyDraft()), sku, step: 0 });
    else if (here) begin(here);
    else void storedThere().then((there) => begin(there ?? emptyDraft()));
  }, [begun, sku, from, copied.data]);
  const crumbs = [["/compute", "Compute catalog"]] as const;
  if (!begun) {
    return (
      <Page title="Launch a workload" crumbs={crumbs}>
        {copied.error ? <Failed error={copied.error} retry={() => void copied.refetch()} /> : <Loading />}
      </Page>
    );
  }
  return (
    <Page title="Launch a workload" crumbs={crumbs}>
      <Wizard begun={begun} />
    </Page>
  );
}

function Wizard({ begun }: { begun: Draft }) {
  const goTo = useGo();
  const noLaunch = useMayNot("allocations.create");
  const [draft, setDraft] = useState(begun);
  const keys = useInfiniteQuery(keysQuery);
  const precheck = usePrecheck(draft);
  const heading = useRef<HTMLHeadingElement>(null);
  const moved = useRef(false);
  const sent = useRef(false);
  const step = Math.min(Math.max(draft.step, 0), REVIEW);

  useEffect(() => {
    if (sent.current) return undefined;
    keepHere(draft);
    const timer = setTimeout(() => void keepThere(draft), SAVE_MS);
    return () => clearTimeout(timer);
  }, [draft]);
  useEffect(() => {
    if (moved.current) heading.current?.focus();
  }, [step]);

  const launch = useMutation({
    mutationFn: (body: Body) => ask<Launched>("/api/v1/allocations", { method: "POST", body, key: draft.key }),
    onSuccess: ({ operation_id, allocation_ids }) => {
      sent.current = true;
      void forget();
      say(allocation_ids.length > 1 ? `${allocation_ids.length} workloads are on their way.` : "The workload is on its way.", {
        to: "/workloads",
        word: "See it in the list",
      });
      goTo(`/tasks/${operation_id}`);
    },
    onError: () => void precheck.refetch(),
  });
  const change = (part: Partial<Draft>) => {
    launch.reset();
    // Another request than before gets another key.
    setDraft((now) => ({ ...now, ...part, key: crypto.randomUUID() }));
  };
  const go = (to: number) => {
    moved.current = true;
    setDraft((now) => ({ ...now, step: to }));
  };
  const noKey = keys.data?.length === 0;
  const own = [
    draft.sku ? undefined : "Choose hardware first.",
    undefined,
    undefined,
    undefined,
    noKey && draft.access === "all" && !draft.command.trim() ? "Add a key, give a command, or go without SSH." : undefined,
    undefined,
  ][step];
  const stands = precheck.blockersOf(step);
  const blocked = own ?? (stands.length > 0 ? "See above what stands in the way." : undefined);
  // What keeps it from being launched is said once, with the ways on; the counts behind it are for scripts.
  const { error } = launch;
  const conflict = error instanceof Problem && error.body.status === 409 ? error : undefined;
  const refused = conflict ? new Problem({ ...conflict.body, errors: [] }) : error;
  const told = conflict !== undefined && precheck.all.some((one) => one.code === conflict.code);
  const parts = { draft, change };
  return (
    <>
      <ol className="trail" aria-label="Steps of the launch">
        {STEPS.map((word, index) => (
          <li key={word} {...(index === step ? { "aria-current": "step" as const } : {})} data-done={index < step || undefined}>
            <span className="visually-hidden">{index < step ? "Done: " : ""}</span>
            {index + 1}. {word}
          </li>
        ))}
      </ol>
      <section className="stack">
        <h2 ref={heading} tabIndex={-1}>
          {STEPS[step]}
        </h2>
        {step === 0 && <HardwareStep {...parts} />}
        {step === 1 && <CapacityStep {...parts} errors={precheck.fields} />}
        {step === 2 && <ImageStep {...parts} errors={precheck.fields} />}
        {step === 3 && <NetworkStep />}
        {step === 4 && <AccessStep {...parts} keys={keys} />}
        {step === REVIEW && <Review draft={draft} keys={keys.data ?? []} estimate={precheck.estimate} onEdit={go} />}
        <Blockers of={step === REVIEW ? precheck.all : stands} draft={draft} change={change} onGo={step === REVIEW ? go : undefined} />
        {step === REVIEW && precheck.error && <Failed error={precheck.error} retry={() => void precheck.refetch()} />}
        {refused && !told && <Failed error={refused} />}
        <div className="row">
          {step > 0 && <Button onPress={() => go(step - 1)}>Back</Button>}
          {step < REVIEW ? (
            <Button look="primary" blocked={blocked} onPress={() => go(step + 1)}>
              Next
            </Button>
          ) : (
            <Button look="primary" isPending={launch.isPending} blocked={noLaunch ?? (precheck.ready ? undefined : precheck.why)} onPress={() => launch.mutate(bodyOf(draft))}>
              Launch
            </Button>
          )}
        </div>
      </section>
    </>
  );
}
