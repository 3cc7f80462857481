// Lines over time, loaded only when a chart is looked at. A point that is null is a gap.
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useLook } from "./theme";

const HEIGHT_PX = 240;
const COLOURS = 8;

export interface Line {
  label: string;
  points: (number | null)[];
}

export default function Chart({
  title,
  summary,
  times,
  lines,
  most,
}: {
  title: string;
  /** The picture in words: what each line shows now. */
  summary?: string;
  times: number[];
  lines: Line[];
  /** The top of the scale, where it is fixed. */
  most?: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const data = useRef<uPlot.AlignedData>([[]]);
  const look = useLook();
  const names = lines.map((line) => line.label).join("|");
  data.current = [times, ...lines.map((line) => line.points)];

  // Colours are drawn, not styled: another theme is another picture.
  useEffect(() => {
    const at = box.current;
    if (!at) return undefined;
    const style = getComputedStyle(at);
    const axis = {
      stroke: style.color,
      grid: { stroke: colour(at, "line"), width: 1 },
      ticks: { stroke: colour(at, "line"), width: 1 },
      font: `12px ${style.getPropertyValue("--font")}`,
    };
    const made = new uPlot(
      {
        width: at.clientWidth,
        height: HEIGHT_PX,
        cursor: { y: false },
        legend: { show: names.includes("|") },
        series: [
          { value: (_, at) => (at === null ? "–" : new Date(at * 1000).toLocaleString()) },
          ...names.split("|").map((label, index) => ({
            label,
            stroke: colour(at, `chart-${(index % COLOURS) + 1}`),
            width: 1.6,
            spanGaps: false,
            // A point between gaps has no line: it is a dot.
            points: { show: true, size: 4, filter: alone },
            value: (_: uPlot, value: number | null, __: number, index: number | null) => (index === null ? "–" : value === null ? "not reported" : value.toFixed(1)),
          })),
        ],
        // Half a time stands beyond the last line.
        padding: [null, 40, null, null],
        axes: [{ ...axis, space: 70, size: 34, values: (_, splits, __, ___, apart) => splits.map((at) => sayTime(at, apart)) }, { ...axis, size: 56 }],
        scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), most ?? Math.max(1, (high ?? 1) * 1.1)] } },
      },
      data.current,
      at,
    );
    plot.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: at.clientWidth, height: HEIGHT_PX }));
    watcher.observe(at);
    return () => {
      watcher.disconnect();
      made.destroy();
    };
  }, [names, look, most]);

  useEffect(() => plot.current?.setData(data.current));

  return (
    <figure className="card stack tight chart">
      <figcaption className="row apart">
        <strong>{title}</strong>
        {summary && <span className="hint">{summary}</span>}
      </figcaption>
      <div ref={box} aria-hidden="true" />
    </figure>
  );
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

/** A time below the picture, as fine as its neighbours are apart, in seconds. At midnight the day is told. */
function sayTime(at: number, apart: number): string {
  const time = new Date(at * 1000);
  if (apart >= 86_400 || (apart >= 3600 && time.getHours() === 0 && time.getMinutes() === 0)) return DAY.format(time);
  return (apart < 60 ? SECONDS : CLOCK).format(time);
}

/** The points that have nothing beside them. */
function alone(plot: uPlot, series: number): number[] {
  const points = plot.data[series] ?? [];
  const known = (index: number) => typeof points[index] === "number";
  return Array.from(points, (_, index) => index).filter((index) => known(index) && !known(index - 1) && !known(index + 1));
}

/** The colour a token names in the theme of now, as a canvas understands it. */
function colour(at: HTMLElement, token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${token})`;
  at.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
