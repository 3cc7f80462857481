// How old what is shown is, and a way to hold it still while it is read.
import { useState } from "react";
import { Button } from "./Button";

export interface Pause {
  paused: boolean;
  toggle: () => void;
}

export function usePause(): Pause {
  const [paused, setPaused] = useState(false);
  return { paused, toggle: () => setPaused(!paused) };
}

/** `at` is when it was asked for last, ms since 1970; 0 is not yet. */
export function Freshness({ at, pause }: { at: number; pause: Pause }) {
  const time = at ? new Date(at) : undefined;
  return (
    <div className="row tight">
      <span className="hint">
        {pause.paused ? "Held still, as of " : "Last updated "}
        {time ? (
          <time dateTime={time.toISOString()} title={time.toISOString()}>
            {time.toLocaleTimeString()}
          </time>
        ) : (
          "…"
        )}
      </span>
      <Button small onPress={pause.toggle} aria-pressed={pause.paused}>
        {pause.paused ? "Go on" : "Pause"}
      </Button>
    </div>
  );
}
