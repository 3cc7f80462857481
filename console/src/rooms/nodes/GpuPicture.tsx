// A GPU and what it is cut into: each slice where its memory slices are. Slices that overlap stand in lanes.
import { useId } from "react";
import type { Allocation, Slot } from "../../api/types";
import { toneOf, wordOf } from "../../ui/kit";
import { lookOf, nameOf } from "./Slices";

interface Placed {
  slot: Slot;
  from: number;
  size: number;
  lane: number;
}

/** Where each slot stands: whole GPUs over everything, CPU shares side by side, slices at their start. */
export function place(slots: Slot[]): { placed: Placed[]; wide: number; lanes: number } {
  const ends = slots.map((slot) => (slot.kind === "mig" ? (slot.start ?? 0) + (slot.size ?? 1) : slot.kind === "cpu" ? (slot.start ?? 0) + 1 : 1));
  const mig = slots.some((slot) => slot.kind === "mig");
  // GPUs that can be cut have eight memory slices; the A30 has four.
  const most = Math.max(1, ...ends);
  const wide = mig ? (most > 4 ? Math.max(8, most) : most) : most;
  const lanes: number[] = [];
  const placed = [...slots]
    .sort((a, b) => (a.start ?? 0) - (b.start ?? 0) || (b.size ?? 0) - (a.size ?? 0))
    .map((slot) => {
      const from = slot.kind === "gpu" ? 0 : (slot.start ?? 0);
      const size = slot.kind === "gpu" ? wide : slot.kind === "cpu" ? 1 : (slot.size ?? 1);
      let lane = lanes.findIndex((end) => end <= from);
      if (lane < 0) lane = lanes.length;
      lanes[lane] = from + size;
      return { slot, from, size, lane };
    });
  return { placed, wide, lanes: Math.max(1, lanes.length) };
}

/** Below this a name is written smaller. */
const NARROW = 70;
/** Of a GPU that is cut, and of one that is not. */
const WIDE = 448;
const SMALL = 224;
const LANE = 48;
const GAP = 3;

export function GpuPicture({ title, model, slots, leases }: { title: string; model: string; slots: Slot[]; leases: Map<string, Allocation> }) {
  const head = useId();
  const { placed, wide, lanes } = place(slots);
  const cut = slots.some((slot) => slot.kind === "mig");
  const full = cut ? WIDE : SMALL;
  const unit = full / wide;
  const free = slots.filter((slot) => lookOf(slot) === "free").length;
  const words = placed.map(({ slot }) => `${nameOf(slot)}: ${wordOf(lookOf(slot))}`).join(". ");
  return (
    <figure className={`card gpu-picture ${cut ? "cut" : ""}`}>
      <figcaption id={head}>
        <strong>{title}</strong> <span className="hint">{[model, `${free} of ${slots.length} free`].filter(Boolean).join(", ")}</span>
      </figcaption>
      <svg viewBox={`0 0 ${full} ${lanes * LANE}`} role="img" aria-labelledby={head} aria-description={words}>
        {placed.map(({ slot, from, size, lane }) => {
          const look = lookOf(slot);
          const lease = slot.allocation_id ? leases.get(slot.allocation_id) : undefined;
          const width = size * unit - GAP;
          return (
            <g key={slot.id} className={`slice ${toneOf(look)}`} transform={`translate(${from * unit} ${lane * LANE})`}>
              <title>{`${nameOf(slot)}: ${wordOf(look)}${lease ? `, ${lease.name}` : ""}`}</title>
              <rect width={width} height={LANE - GAP} rx="5" />
              <text x={width / 2} y={19} className={width < NARROW ? "tight" : ""}>
                {fit(slot.kind === "mig" ? (slot.profile ?? "") : slot.kind === "cpu" ? `CPU ${from + 1}` : "whole", width)}
              </text>
              <text x={width / 2} y={35} className="small">
                {fit(lease?.name ?? wordOf(look), width)}
              </text>
            </g>
          );
        })}
      </svg>
    </figure>
  );
}

/** As much of a text as a slice is wide. */
function fit(text: string, width: number): string {
  const most = Math.floor(width / 7.2);
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
