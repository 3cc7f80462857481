// What the coordinator says of a draft before it is sent: the same judge as at submit, asked again after each change.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Problem, ask } from "../../api/http";
import type { Precheck } from "../../api/types";
import { bodyOf, type Draft } from "./draft";

export type Blocker = Precheck["blockers"][number];

const REST_MS = 300;
/** Which step of the wizard a blocker belongs to, by the word of the judge. */
const STEP_OF: Record<string, number> = { hardware: 0, capacity: 1, image: 2, network: 3, access: 4 };

export function stepOf(blocker: Blocker): number {
  return STEP_OF[blocker.step] ?? STEP_OF["capacity"]!;
}

export function usePrecheck(draft: Draft) {
  const wanted = JSON.stringify(bodyOf(draft));
  const [body, setBody] = useState(wanted);
  useEffect(() => {
    const timer = setTimeout(() => setBody(wanted), REST_MS);
    return () => clearTimeout(timer);
  }, [wanted]);
  const asked = useQuery({
    queryKey: ["precheck", body],
    queryFn: ({ signal }) => ask<Precheck>("/api/v1/launch/compute/precheck", { method: "POST", body: JSON.parse(body), signal }),
    enabled: Boolean(draft.sku),
    placeholderData: keepPreviousData,
    retry: false,
    // Capacity comes and goes without our doing.
    refetchInterval: 5000,
    staleTime: 0,
  });
  const settled = body === wanted && !asked.isPlaceholderData;
  const all = asked.data?.blockers ?? [];
  const invalid = asked.error instanceof Problem && asked.error.body.status === 422 ? asked.error : undefined;
  return {
    all,
    error: asked.error,
    refetch: asked.refetch,
    blockersOf: (step: number) => (asked.error ? [] : all.filter((one) => stepOf(one) === step)),
    /** What is wrong with a field of the request. */
    fields: (name: string) => invalid?.body.errors?.find((one) => one.field === name)?.detail,
    /** What it would cost; undefined while that is not known. */
    estimate: settled && !asked.error ? asked.data && (asked.data.estimate ?? null) : undefined,
    ready: settled && Boolean(asked.data?.launchable) && !asked.error,
    why: asked.error ? "It cannot be launched as it is." : !settled || asked.isPending ? "Being checked." : "See above what stands in the way.",
  };
}
