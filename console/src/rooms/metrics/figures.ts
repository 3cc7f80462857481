// Figures of a workload: a stretch of them asked for, and those that come while one looks added at its end.
import type { WorkloadMetrics as View } from "../../api/types";

type Series = View["series"][number];

const nameOf = (series: Series) => `${series.name} ${series.gpu_uuid ?? ""}`;

/** The last `seconds` of `view` with what `more` tells, on the steps of `view`. A step nobody told of is a gap. */
export function extended(view: View, more: View, seconds: number): View {
  const step = view.step * 1000;
  const begin = Date.parse(view.from);
  const end = Math.max(Date.parse(view.to), Date.parse(more.to));
  const from = Math.max(begin, end - Math.ceil((seconds * 1000) / step) * step);
  const first = Math.ceil((from - begin) / step);
  const count = Math.max(0, Math.ceil((end - begin) / step) - first);
  const names = new Map([...view.series, ...more.series].map((series) => [nameOf(series), series]));
  const series = [...names].map(([name, one]) => {
    const points: (number | null)[] = Array.from({ length: count }, () => null);
    for (const part of [view, more]) {
      const start = Date.parse(part.from);
      part.series
        .find((each) => nameOf(each) === name)
        ?.points.forEach((point, at) => {
          const index = Math.floor((start + at * part.step * 1000 - begin) / step) - first;
          if (typeof point === "number" && index >= 0 && index < count) points[index] = point;
        });
    }
    return { ...one, points };
  });
  return { from: new Date(begin + first * step).toISOString(), to: new Date(end).toISOString(), step: view.step, series };
}
