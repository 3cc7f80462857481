// Figures of a range: asked for once, then those that the stream tells added at the end; means are asked for again.
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { ask } from "../../api/http";
import { pathOf } from "../../api/lists";
import { useFigures, useLiveUp } from "../../api/live";
import type { WorkloadMetrics as View } from "../../api/types";
import { extended } from "./figures";
import { FIRST, RANGES, isLive, spanOf } from "./ranges";

/** How often means are asked for again, ms. */
const MEANS_MS = 60_000;

export function useMetrics({
  path,
  topic,
  begin,
  end,
  enabled = true,
}: {
  path: string;
  topic: string;
  /** When what is measured began, if it did; without it figures are older than anybody asks. */
  begin?: string | null | undefined;
  /** When it ended. */
  end?: string | null | undefined;
  enabled?: boolean;
}) {
  const [chosen, choose] = useState("300");
  const [paused, setPaused] = useState(false);
  const range = RANGES[chosen] ?? FIRST;
  const client = useQueryClient();
  const up = useLiveUp();
  const live = isLive(range);
  const key = [path, chosen];
  const metrics = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask<View>(pathOf(path, spanOf(range, begin, end)), { signal }),
    // With the stream up new figures come by themselves; without it they are asked for.
    refetchInterval: paused || end ? false : live ? !up && 1000 : MEANS_MS,
    placeholderData: keepPreviousData,
    enabled,
  });
  const { seconds } = range;
  const hear = useCallback(
    (more: unknown) => client.setQueryData<View>([path, chosen], (view) => view && extended(view, more as View, seconds)),
    [client, path, chosen, seconds],
  );
  useFigures(enabled && live && !end && !paused ? topic : undefined, hear);
  const toggle = () => {
    setPaused(!paused);
    // What came meanwhile is fetched, so that a pause leaves no gap.
    if (paused) void metrics.refetch();
  };
  return { metrics, range, chosen, choose, pause: { paused, toggle } };
}
