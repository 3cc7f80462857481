// What a workload uses, as pictures that move, with the same numbers as a table. A gap is shown as a gap.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, lazy, useCallback, useState } from "react";
import { at } from "../../api/at";
import { ask } from "../../api/http";
import { useFigures, useLiveUp } from "../../api/live";
import type { Allocation, WorkloadMetrics as View } from "../../api/types";
import { Ago, Button, Choice, Empty, Loaded, Loading, Table } from "../../ui/kit";
import { extended } from "./figures";

const Chart = lazy(() => import("../../ui/Chart"));

interface Kind {
  of: "gpu" | "cell";
  name: string;
  word: string;
  unit: string;
  /** What a reported number is divided by. */
  by: number;
  most?: number;
}

const KINDS: readonly Kind[] = [
  { of: "gpu", name: "utilization_percent", word: "GPU busy", unit: "%", by: 1, most: 100 },
  { of: "gpu", name: "memory_used_bytes", word: "GPU memory", unit: "GiB", by: 1024 ** 3 },
  { of: "gpu", name: "power_mw", word: "GPU power", unit: "W", by: 1000 },
  { of: "gpu", name: "temperature_c", word: "GPU temperature", unit: "°C", by: 1 },
  { of: "cell", name: "cpu_milli", word: "CPU", unit: "cores", by: 1000 },
  { of: "cell", name: "memory_used_bytes", word: "Memory", unit: "GiB", by: 1024 ** 3 },
];
const RANGES = [
  ["60", "Last minute"],
  ["300", "Last 5 minutes"],
  ["900", "Last 15 minutes"],
] as const;

export function WorkloadMetrics({ of }: { of: Allocation }) {
  const [range, setRange] = useState("300");
  const [paused, pause] = useState(false);
  const [asTable, setAsTable] = useState(false);
  const ended = of.release_at ?? of.ended_at;
  const seconds = Number(range);
  const live = useLiveUp();
  const client = useQueryClient();
  const path = at("/api/v1/workloads/{workload_id}/metrics", { workload_id: of.id });
  const metrics = useQuery({
    queryKey: [path as string, range],
    queryFn: ({ signal }) => ask<View>(spanOf(path, seconds, ended), { signal }),
    // With the stream up new figures come by themselves; without it they are asked for.
    refetchInterval: paused || ended || live ? false : 1000,
    enabled: Boolean(of.active_at),
  });
  const hear = useCallback(
    (more: unknown) => client.setQueryData<View>([path as string, range], (view) => view && extended(view, more as View, seconds)),
    [client, path, range, seconds],
  );
  useFigures(of.active_at && !ended && !paused ? `metrics:${of.id}` : undefined, hear);
  if (!of.active_at) {
    return (
      <div className="card">
        <Empty title="No figures yet">
          <p>They begin when the workload is active.</p>
        </Empty>
      </div>
    );
  }
  return (
    <div className="stack">
      <div className="row apart">
        <div className="filters">
          <Choice label="Range" value={range} onChange={setRange} options={RANGES} />
        </div>
        <div className="row">
          <span className="hint">{ended ? "The workload has ended." : paused ? "Paused." : "One value a second."}</span>
          {!ended && (
            <Button
              small
              onPress={() => {
                pause(!paused);
                // What came meanwhile is fetched, so that a pause leaves no gap.
                if (paused) void metrics.refetch();
              }}
            >
              {paused ? "Go on" : "Pause"}
            </Button>
          )}
          <Button small aria-pressed={asTable} onPress={() => setAsTable(!asTable)}>
            {asTable ? "Show as pictures" : "Show as a table"}
          </Button>
        </div>
      </div>
      <Loaded query={metrics}>{(data) => (asTable ? <AsTable data={data} /> : <AsPictures data={data} shared={of.slots.some((slot) => slot.kind === "mig")} />)}</Loaded>
    </div>
  );
}

function spanOf(path: string, seconds: number, ended: string | null | undefined) {
  const end = ended ? Date.parse(ended) : Date.now();
  const iso = (ms: number) => encodeURIComponent(new Date(ms).toISOString());
  return `${path}?from=${iso(end - seconds * 1000)}&to=${iso(end)}&step=${seconds > 300 ? 3 : 1}`;
}

function linesOf(data: View, kind: Kind) {
  const found = data.series.filter((one) => one.name === kind.name && Boolean(one.gpu_uuid) === (kind.of === "gpu"));
  return found.map((one, at) => ({
    label: kind.of === "cell" ? kind.word : found.length > 1 ? `GPU ${at}` : "GPU",
    points: one.points.map((point) => (typeof point === "number" ? point / kind.by : null)),
  }));
}

function AsPictures({ data, shared }: { data: View; shared: boolean }) {
  const from = Date.parse(data.from) / 1000;
  const shown = KINDS.map((kind) => [kind, linesOf(data, kind)] as const).filter(([, lines]) => lines.length > 0);
  if (shown.length === 0) {
    return (
      <div className="card">
        <Empty title="Nothing was reported in this range">
          <p>Figures are kept for fifteen minutes. If the workload runs, its node may not be reachable now.</p>
        </Empty>
      </div>
    );
  }
  return (
    <>
      {shared && <p className="hint">Figures of a shared GPU are not shown: they would tell of its other tenants.</p>}
      <div className="charts">
        {shown.map(([kind, lines]) => (
          <Suspense key={kind.of + kind.name} fallback={<Loading />}>
            <Chart
              title={`${kind.word}, ${kind.unit}`}
              summary={lines.map((line) => `${line.label}: ${say(newest(line.points))} ${kind.unit}`).join("; ")}
              times={(lines[0]?.points ?? []).map((_, at) => from + at * data.step)}
              lines={lines}
              {...(kind.most ? { most: kind.most } : {})}
            />
          </Suspense>
        ))}
      </div>
    </>
  );
}

function AsTable({ data }: { data: View }) {
  const rows = KINDS.flatMap((kind) => linesOf(data, kind).map((line) => ({ kind, line })));
  return (
    <>
      <p className="hint">
        From <Ago at={data.from} /> until <Ago at={data.to} />.
      </p>
      <Table
        label="Figures"
        rows={rows}
        id={({ kind, line }) => kind.of + kind.name + line.label}
        columns={[
          { head: "What", cell: ({ kind }) => `${kind.word}, ${kind.unit}` },
          { head: "Of", cell: ({ kind, line }) => (kind.of === "gpu" ? line.label : "Workload") },
          { head: "Now", number: true, cell: ({ line }) => say(newest(line.points)) },
          { head: "Least", number: true, cell: ({ line }) => say(extreme(line.points, Math.min)) },
          { head: "Most", number: true, cell: ({ line }) => say(extreme(line.points, Math.max)) },
        ]}
      />
    </>
  );
}

function newest(points: (number | null)[]): number | null {
  return points.findLast((point) => point !== null) ?? null;
}

function extreme(points: (number | null)[], pick: (...values: number[]) => number): number | null {
  const known = points.filter((point) => point !== null);
  return known.length > 0 ? pick(...known) : null;
}

function say(value: number | null): string {
  return value === null ? "not reported" : value.toFixed(value < 10 ? 2 : 1);
}
