// Lines over time, loaded only when a chart is looked at.
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const COLOURS = ["#2f9e7f", "#3b82c4", "#c98a1b", "#c0554d", "#8a63c9", "#5d8f2d", "#c25a9b", "#6b7a75"];

export default function Chart({
  title,
  times,
  lines,
}: {
  title: string;
  times: number[];
  lines: { label: string; points: (number | null)[] }[];
}) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const names = lines.map((line) => line.label).join("|");

  useEffect(() => {
    const at = box.current;
    if (!at) return undefined;
    const style = getComputedStyle(document.documentElement);
    const ink = getComputedStyle(at).color;
    const axis = { stroke: ink, grid: { stroke: "rgb(128 128 128 / 20%)", width: 1 }, font: `12px ${style.getPropertyValue("--font")}` };
    const made = new uPlot(
      {
        width: at.clientWidth,
        height: 280,
        series: [{}, ...names.split("|").map((label, index) => ({ label, stroke: COLOURS[index % COLOURS.length] ?? ink, width: 1.6 }))],
        axes: [axis, { ...axis, size: 56 }],
        scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.1)] } },
      },
      [[], ...names.split("|").map(() => [])],
      at,
    );
    plot.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: at.clientWidth, height: 280 }));
    watcher.observe(at);
    return () => {
      watcher.disconnect();
      made.destroy();
    };
  }, [names]);

  useEffect(() => {
    plot.current?.setData([times, ...lines.map((line) => line.points)]);
  });

  return (
    <figure className="card stack chart">
      <figcaption>{title}</figcaption>
      <div ref={box} />
    </figure>
  );
}
