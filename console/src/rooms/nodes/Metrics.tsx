// The last minutes of a node as pictures, with the same numbers as a table. A gap is shown as a gap.
import { useQuery } from "@tanstack/react-query";
import { Suspense, lazy, useState } from "react";
import { oneQuery } from "../../api/lists";
import type { Metrics } from "../../api/types";
import { Button, Choice, Loaded, Loading, Table } from "../../ui/kit";

const Chart = lazy(() => import("../../ui/Chart"));

const KINDS: Record<string, { word: string; unit: string; by: number }> = {
  utilization_percent: { word: "GPU busy", unit: "%", by: 1 },
  memory_used_bytes: { word: "GPU memory used", unit: "GiB", by: 1024 ** 3 },
  temperature_c: { word: "GPU heat", unit: "°C", by: 1 },
  power_mw: { word: "GPU power", unit: "W", by: 1000 },
};

export function NodeMetrics({ node }: { node: string }) {
  const [kind, setKind] = useState("utilization_percent");
  const [paused, setPaused] = useState(false);
  const [asTable, setAsTable] = useState(false);
  const metrics = useQuery(oneQuery<Metrics>(`/api/v1/admin/nodes/${node}/metrics?step=2`, paused ? false : 2000));
  const shown = KINDS[kind] ?? { word: kind, unit: "", by: 1 };
  return (
    <div className="stack">
      <div className="row apart">
        <Choice label="Measure" value={kind} onChange={setKind} options={Object.entries(KINDS).map(([id, { word }]) => [id, word] as const)} />
        <div className="row">
          <Button small onPress={() => setPaused(!paused)}>
            {paused ? "Go on" : "Pause"}
          </Button>
          <Button small onPress={() => setAsTable(!asTable)}>
            {asTable ? "Show as a picture" : "Show as a table"}
          </Button>
        </div>
      </div>
      <Loaded query={metrics}>
        {(data) => {
          const lines = data.series.filter((one) => one.name === kind && one.gpu_uuid);
          const from = Date.parse(data.from) / 1000;
          const times = (lines[0]?.points ?? []).map((_, at) => from + at * data.step);
          const named = lines.map((line, at) => ({
            label: `GPU ${at}`,
            points: line.points.map((point) => (typeof point === "number" ? point / shown.by : null)),
          }));
          if (lines.length === 0) return <p>This node reports no GPU figures.</p>;
          if (!asTable) {
            return (
              <Suspense fallback={<Loading />}>
                <Chart title={`${shown.word}, ${shown.unit}`} times={times} lines={named} />
              </Suspense>
            );
          }
          return (
            <Table
              label={`${shown.word}, ${shown.unit}`}
              rows={named}
              id={(line) => line.label}
              columns={[
                { head: "GPU", cell: (line) => line.label },
                { head: `Now, ${shown.unit}`, number: true, cell: (line) => say(line.points.findLast((point) => point !== null)) },
                { head: "Least", number: true, cell: (line) => say(extreme(line.points, Math.min)) },
                { head: "Most", number: true, cell: (line) => say(extreme(line.points, Math.max)) },
              ]}
            />
          );
        }}
      </Loaded>
    </div>
  );
}

function extreme(points: (number | null)[], pick: (...values: number[]) => number): number | null {
  const known = points.filter((point) => point !== null);
  return known.length > 0 ? pick(...known) : null;
}

function say(value: number | null | undefined): string {
  return value === null || value === undefined ? "not reported" : value.toFixed(1);
}
