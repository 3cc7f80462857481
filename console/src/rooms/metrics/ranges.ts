// The stretches of time that figures are shown for: by the second while they are in memory, longer ones as means.

export interface Range {
  word: string;
  /** How far back it goes, seconds. */
  seconds: number;
  /** Seconds a point. From 60 on points are means. */
  step: number;
}

export const RANGES: Record<string, Range> = {
  "60": { word: "Last minute", seconds: 60, step: 1 },
  "300": { word: "Last 5 minutes", seconds: 300, step: 1 },
  "900": { word: "Last 15 minutes", seconds: 900, step: 3 },
  "3600": { word: "Last hour", seconds: 3600, step: 60 },
  "86400": { word: "Last 24 hours", seconds: 86_400, step: 300 },
  "604800": { word: "Last 7 days", seconds: 604_800, step: 3600 },
  "2592000": { word: "Last 30 days", seconds: 2_592_000, step: 14_400 },
};
export const CHOICES = Object.entries(RANGES).map(([id, { word }]) => [id, word] as const);
export const FIRST = { ...(RANGES["300"] as Range) };

/** Figures of it come one by one as they are measured. */
export function isLive({ step }: Range): boolean {
  return step < 60;
}

/** What a point of it is, in words. */
export function grain({ step }: Range): string {
  if (step < 60) return step === 1 ? "One value a second." : `Means of ${step} seconds.`;
  if (step < 3600) return step === 60 ? "Means of a minute." : `Means of ${step / 60} minutes.`;
  return step === 3600 ? "Means of an hour." : `Means of ${step / 3600} hours.`;
}

/**
 * The query of a range that ends at `end`, or now. Of a life that is shorter than the range, from its begin on, and
 * then as fine as the range within it would be.
 */
export function spanOf(range: Range, begin?: string | null, end?: string | null): { from: string; to: string; step: number } {
  const to = Math.floor((end ? Date.parse(end) : Date.now()) / 1000);
  const back = Math.floor(to / range.step) * range.step - range.seconds;
  const born = begin ? Math.ceil(Date.parse(begin) / 1000) : back;
  // What has just begun has a second of life at least.
  const from = Math.min(Math.max(back, born), to - 1);
  const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  if (isLive(range)) return { from: iso(from), to: iso(to), step: range.step };
  const fitting = Object.values(RANGES).find((one) => !isLive(one) && one.seconds >= to - from) ?? range;
  // On whole minutes: means begin there.
  const minute = Math.ceil(from / 60) * 60;
  return { from: iso(Math.min(minute, to - 1)), to: iso(to), step: Math.min(range.step, fitting.step) };
}
