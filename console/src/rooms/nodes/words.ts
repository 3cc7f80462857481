// What figures of a node are called, and what is said where there is none.
import type { Gpu } from "../../api/types";
import { bytes } from "../../ui/kit";

/** Mean of the GPUs that report; null when none does. */
export function busy(gpus: Gpu[]): number | null {
  const known = gpus.map((gpu) => gpu.utilization_percent).filter((value) => typeof value === "number");
  return known.length === 0 ? null : Math.round(known.reduce((sum, value) => sum + value, 0) / known.length);
}

export function memory(gpus: Gpu[]): string {
  if (gpus.length === 0) return "no GPU";
  const used = gpus.map((gpu) => gpu.memory_used_bytes).filter((value) => typeof value === "number");
  const total = gpus.reduce((sum, gpu) => sum + (gpu.memory_total_bytes ?? 0), 0);
  if (used.length === 0) return `not reported, of ${bytes(total)}`;
  return `${bytes(used.reduce((sum, value) => sum + value, 0))} of ${bytes(total)}`;
}

export function models(gpus: Gpu[]): string {
  const counts = new Map<string, number>();
  for (const gpu of gpus) counts.set(gpu.model, (counts.get(gpu.model) ?? 0) + 1);
  return [...counts].map(([model, count]) => `${count} × ${short(model)}`).join(", ") || "none";
}

export function short(model: string): string {
  return model.replace(/^NVIDIA /, "");
}

export function given(value: number | null | undefined, unit: string): string {
  return value === null || value === undefined ? "not reported" : `${value} ${unit}`;
}
