// The steps of an operation as they are now; a change is announced once.
import { useEffect, useRef, useState } from "react";
import type { Operation } from "../../api/types";
import { Badge, type Tone, wordOf } from "../../ui/kit";
import { sayStep } from "./words";

const TONES: Record<string, Tone> = { completed: "good", active: "busy", failed: "bad", skipped: "quiet" };

export function Steps({ of }: { of: Operation }) {
  return (
    <>
      <ol className="steps" aria-label="Steps">
        {of.steps.map((step) => (
          <li key={step.name} {...(step.state === "active" ? { "aria-current": "step" as const } : {})}>
            <Badge tone={TONES[step.state] ?? "quiet"}>{wordOf(step.state)}</Badge>
            <span>
              {sayStep(step.name)}
              {step.detail && ["active", "failed"].includes(step.state) && <span className="hint"> {step.detail}</span>}
            </span>
            <span className="hint number">{took(step.started_at, step.ended_at)}</span>
          </li>
        ))}
      </ol>
      <Announced of={of} />
    </>
  );
}

function Announced({ of }: { of: Operation }) {
  const active = of.steps.find((step) => step.state === "active");
  const now = of.ended_at ? wordOf(of.outcome ?? of.state) : active ? sayStep(active.name) : "";
  const last = useRef<string>(undefined);
  const [text, setText] = useState("");
  useEffect(() => {
    // What stood there when the page was opened is read with the page.
    if (last.current !== undefined && last.current !== now) setText(now);
    last.current = now;
  }, [now]);
  return (
    <p className="visually-hidden" aria-live="polite">
      {text}
    </p>
  );
}

export function took(from: string | null | undefined, to: string | null | undefined): string {
  if (!from) return "";
  const ms = (to ? Date.parse(to) : Date.now()) - Date.parse(from);
  return ms < 1000 ? `${Math.max(0, ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
