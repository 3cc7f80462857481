// What each state of each noun looks like. The word is always shown; tone and shape only help.
export type Tone = "good" | "warn" | "bad" | "busy" | "quiet";

const TONES: Record<string, Tone> = {
  active: "good",
  online: "good",
  free: "good",
  ok: "good",
  succeeded: "good",
  completed: "good",
  coming: "busy",
  current: "good",
  partial: "warn",
  exited: "quiet",
  requested: "busy",
  provisioning: "busy",
  releasing: "busy",
  running: "busy",
  queued: "busy",
  reserved: "busy",
  scrubbing: "busy",
  enrolling: "busy",
  draining: "busy",
  leased: "busy",
  success: "good",
  valid: "good",
  held: "warn",
  stalled: "warn",
  refused: "warn",
  disabled: "warn",
  expired: "bad",
  revoked: "bad",
  pending_approval: "warn",
  discovered: "warn",
  stale: "warn",
  degraded: "warn",
  cordoned: "warn",
  maintenance: "warn",
  failed: "bad",
  release_failed: "bad",
  offline: "bad",
  quarantined: "bad",
  rejected: "bad",
  driver_missing: "bad",
  driver_error: "bad",
};

export function toneOf(state: string): Tone {
  return TONES[state] ?? "quiet";
}

/** `pending_approval` → `Pending approval`. */
export function wordOf(state: string): string {
  const words = state.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
