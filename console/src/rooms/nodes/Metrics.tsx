// What a node measures, as pictures and as the same numbers in a table. What was not measured is a gap.
import { Suspense, lazy, useState } from "react";
import { at } from "../../api/at";
import type { Metrics, Node } from "../../api/types";
import { Freshness } from "../../ui/Freshness";
import { CHOICES, grain } from "../metrics/ranges";
import { useMetrics } from "../metrics/useMetrics";
import { Button, Choice, Empty, Loaded, Loading, Table } from "../../ui/kit";

const Chart = lazy(() => import("../../ui/Chart"));

interface Kind {
  word: string;
  unit: string;
  /** What the measured value is divided by for the unit shown. */
  by: number;
  most?: number;
}

const GIB = 1024 ** 3;
const KINDS: Record<string, Kind> = {
  utilization_percent: { word: "GPU busy", unit: "%", by: 1, most: 100 },
  memory_used_bytes: { word: "GPU memory used", unit: "GiB", by: GIB },
  temperature_c: { word: "GPU heat", unit: "°C", by: 1 },
  power_mw: { word: "GPU power", unit: "W", by: 1000 },
};
const HOST_KINDS: Record<string, Kind> = {
  cpu_milli: { word: "CPU in use", unit: "CPUs", by: 1000 },
  memory_used_bytes: { word: "Memory in use", unit: "GiB", by: GIB },
};

interface Picture {
  id: string;
  title: string;
  kind: Kind;
  lines: { label: string; points: (number | null)[] }[];
}

export function NodeMetrics({ of }: { of: Node }) {
  const [asTable, setAsTable] = useState(false);
  const path = at("/api/v1/admin/nodes/{node_id}/metrics", { node_id: of.id });
  const { metrics, range, chosen, choose, pause } = useMetrics({ path, topic: `metrics:${of.id}` });
  return (
    <div className="stack">
      <div className="row apart">
        <Choice label="Range" value={chosen} onChange={choose} options={CHOICES} />
        <div className="row">
          <span className="hint">{grain(range)}</span>
          <Freshness at={metrics.dataUpdatedAt} pause={pause} />
          <Button small aria-pressed={asTable} onPress={() => setAsTable(!asTable)}>
            {asTable ? "Show as pictures" : "Show as tables"}
          </Button>
        </div>
      </div>
      <Loaded query={metrics}>
        {(data) => {
          const pictures = picturesOf(data, of);
          if (pictures.length === 0) {
            return (
              <div className="card">
                <Empty title="No figures are reported">
                  <p>{of.presence === "online" ? "The agent has measured nothing in this stretch." : "The agent is not connected, so nothing is measured."}</p>
                </Empty>
              </div>
            );
          }
          const from = Date.parse(data.from) / 1000;
          return (
            <div className={asTable ? "stack" : "charts"}>
              {pictures.map((one) => (asTable ? <Numbers key={one.id} of={one} /> : <Drawn key={one.id} of={one} from={from} step={data.step} />))}
            </div>
          );
        }}
      </Loaded>
    </div>
  );
}

function picturesOf(data: Metrics, node: Node): Picture[] {
  const gpu = (uuid: string | null | undefined) => node.gpus.find((one) => one.uuid === uuid);
  const scaled = (points: (number | null | undefined)[], by: number) => points.map((point) => (typeof point === "number" ? point / by : null));
  const found = (kinds: Record<string, Kind>, own: boolean): Picture[] =>
    Object.entries(kinds).flatMap(([name, kind]) => {
      const lines = data.series
        .filter((one) => one.name === name && Boolean(one.gpu_uuid) === own)
        .sort((a, b) => (gpu(a.gpu_uuid)?.index ?? 0) - (gpu(b.gpu_uuid)?.index ?? 0))
        .map((one) => ({ label: own ? `GPU ${gpu(one.gpu_uuid)?.index ?? one.gpu_uuid}` : "Machine", points: scaled(one.points, kind.by) }))
        .filter((line) => line.points.some((point) => point !== null));
      return lines.length === 0 ? [] : [{ id: `${name} ${own}`, title: `${kind.word}, ${kind.unit}`, kind, lines }];
    });
  return [...found(KINDS, true), ...found(HOST_KINDS, false)];
}

function Drawn({ of, from, step }: { of: Picture; from: number; step: number }) {
  const times = (of.lines[0]?.points ?? []).map((_, index) => from + index * step);
  return (
    <Suspense fallback={<Loading />}>
      <Chart title={`${of.kind.word}. ${summary(of, step)}`} times={times} lines={of.lines} {...(of.kind.most ? { most: of.kind.most } : {})} />
    </Suspense>
  );
}

/** What the picture shows, in a sentence. */
function summary(of: Picture, step: number): string {
  const now = of.lines.map((line) => line.points.at(-1) ?? line.points.at(-2) ?? null).filter((value) => value !== null);
  if (now.length === 0) return "Not reported now.";
  const [least, most] = [Math.min(...now), Math.max(...now)].map((value) => value.toFixed(value < 10 ? 1 : 0));
  const when = step < 60 ? "Now" : "At the end";
  return least === most ? `${when} ${most} ${of.kind.unit}.` : `${when} ${least} to ${most} ${of.kind.unit}.`;
}

function Numbers({ of }: { of: Picture }) {
  return (
    <Table
      label={of.title}
      rows={of.lines}
      id={(line) => line.label}
      columns={[
        { head: of.title, cell: (line) => line.label },
        { head: "Now", number: true, cell: (line) => say(line.points.findLast((point) => point !== null)) },
        { head: "Least", number: true, cell: (line) => say(extreme(line.points, Math.min)) },
        { head: "Mean", number: true, cell: (line) => say(mean(line.points)) },
        { head: "Most", number: true, cell: (line) => say(extreme(line.points, Math.max)) },
        { head: "Not reported", number: true, cell: (line) => `${line.points.filter((point) => point === null).length} of ${line.points.length}` },
      ]}
    />
  );
}

function extreme(points: (number | null)[], pick: (...values: number[]) => number): number | null {
  const known = points.filter((point) => point !== null);
  return known.length > 0 ? pick(...known) : null;
}

function mean(points: (number | null)[]): number | null {
  const known = points.filter((point) => point !== null);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

function say(value: number | null | undefined): string {
  return value === null || value === undefined ? "not reported" : value.toFixed(1);
}
