// What a workload uses, as pictures that move, with the same numbers as a table. A gap is shown as a gap.
import { Suspense, lazy, useState } from "react";
import { at } from "../../api/at";
import type { Allocation, WorkloadMetrics as View } from "../../api/types";
import { Ago, Button, Choice, Empty, Loaded, Loading, Table } from "../../ui/kit";
import { CHOICES, grain } from "../metrics/ranges";
import { useMetrics } from "../metrics/useMetrics";

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

export function WorkloadMetrics({ of }: { of: Allocation }) {
  const [asTable, setAsTable] = useState(false);
  const ended = of.release_at ?? of.ended_at;
  const path = at("/api/v1/workloads/{workload_id}/metrics", { workload_id: of.id });
  const { metrics, range, chosen, choose, pause } = useMetrics({ path, topic: `metrics:${of.id}`, begin: of.active_at, end: ended, enabled: Boolean(of.active_at) });
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
          <Choice label="Range" value={chosen} onChange={choose} options={CHOICES} />
        </div>
        <div className="row">
          <span className="hint">{ended ? "The workload has ended." : pause.paused ? "Paused." : grain(range)}</span>
          {!ended && (
            <Button small onPress={pause.toggle}>
              {pause.paused ? "Go on" : "Pause"}
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

/** The kinds in units in which something can be told: little memory is not 0.00 GiB. */
function kindsOf(data: View): Kind[] {
  const most = (kind: Kind) => Math.max(0, ...linesOf(data, kind).flatMap((line) => line.points.filter((point) => point !== null)));
  return KINDS.map((kind) => (kind.unit === "GiB" && most(kind) < 1 ? { ...kind, unit: "MiB", by: 1024 ** 2 } : kind));
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
  const shown = kindsOf(data).map((kind) => [kind, linesOf(data, kind)] as const).filter(([, lines]) => lines.length > 0);
  if (shown.length === 0) {
    return (
      <div className="card">
        <Empty title="Nothing was reported in this range">
          <p>If the workload runs, its node may not be reachable now. Figures are kept for a month; those of the last day by the minute.</p>
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
  const rows = kindsOf(data).flatMap((kind) => linesOf(data, kind).map((line) => ({ kind, line })));
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
