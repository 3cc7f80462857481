// The steps of an operation as they are now; the one that runs is announced.
import type { Operation } from "../../api/types";
import { Badge, type Tone } from "../../ui/kit";
import { wordOf } from "../../ui/state";

const TONES: Record<string, Tone> = { completed: "good", active: "busy", failed: "bad", skipped: "quiet" };

export function Steps({ of }: { of: Operation }) {
  return (
    <ol className="steps" aria-label="Steps">
      {of.steps.map((step) => (
        <li key={step.name}>
          <Badge tone={TONES[step.state] ?? "quiet"}>{wordOf(step.state)}</Badge>
          <span>
            {wordOf(step.name)}
            {step.detail && <span className="hint"> {step.detail}</span>}
          </span>
          <span className="hint">{took(step.started_at, step.ended_at)}</span>
        </li>
      ))}
    </ol>
  );
}

export function took(from: string | null | undefined, to: string | null | undefined): string {
  if (!from) return "";
  const ms = (to ? Date.parse(to) : Date.now()) - Date.parse(from);
  return ms < 1000 ? `${Math.max(0, ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
