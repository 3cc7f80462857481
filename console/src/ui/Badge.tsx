// A state: colour, shape and word, so that none of them stands alone.
import type { ReactNode } from "react";
import { toneOf, wordOf, type Tone } from "./state";

const GLYPHS: Record<Tone, string> = {
  good: "M3 8.5l3.2 3L13 4.5",
  warn: "M8 2.5v6.5M8 12.2v.6",
  bad: "M4 4l8 8M12 4l-8 8",
  busy: "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
  quiet: "M3.5 8h9",
};

export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={`badge ${tone}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="2.4" strokeLinecap="round">
        <path d={GLYPHS[tone]} />
      </svg>
      {children}
    </span>
  );
}

export function State({ of }: { of: string }) {
  return <Badge tone={toneOf(of)}>{wordOf(of)}</Badge>;
}
