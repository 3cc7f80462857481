// Something to know, with what to do about it; and every failed call, in one card.
import { useEffect, useState, type ReactNode } from "react";
import { Problem } from "../api/http";
import { Button, GoButton } from "./Button";
import { CopyButton } from "./Copy";
import type { Tone } from "./state";
import { Ways } from "./Ways";

export function Notice({ tone = "quiet", title, children }: { tone?: Tone; title: ReactNode; children?: ReactNode }) {
  return (
    <section className={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <strong>{title}</strong>
      {children}
    </section>
  );
}

/** What kind of refusal it is, and what a person can do next. */
function nextStep(error: Problem): string {
  const { status, code, retryable } = error.body;
  if (code === "unreachable") return "Check your network, then try again.";
  if (status === 429) return "Too many requests were made.";
  if (status === 403) return "Ask whoever runs Muster here for the role that allows it.";
  if (status === 404) return "It may have been removed, or it belongs to another workspace.";
  if (status === 412) return "Load the page again, then repeat the change.";
  if (status >= 500 || retryable) return "Try again in a moment. If it stays so, pass the reference on to whoever runs Muster here.";
  return "";
}

/** A failed call: the sentence, the next step, and the correlation id with a copy button. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = error instanceof Problem ? error : undefined;
  const body = problem?.body;
  const wait = useCountdown(problem?.retryAfter, error);
  // What a script says of its own fault is for whoever mends it: the browser's console has it.
  const sentence = problem?.message ?? "This part of the page failed.";
  const step = problem ? nextStep(problem) : "Load the page again. If it stays so, tell whoever runs Muster here what you did.";
  const href = body?.action?.href;
  return (
    <Notice tone={body?.status === 403 || body?.status === 429 ? "warn" : "bad"} title={sentence}>
      {body?.errors && body.errors.length > 0 && (
        <ul>
          {body.errors.map((one, at) => (
            <li key={at}>
              {one.field && <code>{one.field}</code>} {one.message ?? one.detail}
            </li>
          ))}
        </ul>
      )}
      {(step || wait > 0) && (
        <p>
          {step} {wait > 0 && <span role="timer">You can try again in {wait} s.</span>}
        </p>
      )}
      <div className="row">
        {retry && body?.status !== 404 && (
          <Button small isDisabled={wait > 0} onPress={retry}>
            Try again
          </Button>
        )}
        {retry && body?.status === 404 && <Ways />}
        {body?.action && href?.startsWith("/") && !href.startsWith("/api/") && (
          <GoButton small to={href}>
            {body.action.label}
          </GoButton>
        )}
        {body?.correlation_id && (
          <span className="hint">
            Reference <code>{body.correlation_id}</code> <CopyButton text={body.correlation_id} what="the reference" />
          </span>
        )}
      </div>
    </Notice>
  );
}

/** Seconds left of a wait that began with `since`. */
export function useCountdown(seconds: number | undefined, since: unknown): number {
  const [left, setLeft] = useState(seconds ?? 0);
  useEffect(() => {
    const end = Date.now() + (seconds ?? 0) * 1000;
    const tick = () => setLeft(Math.max(0, Math.ceil((end - Date.now()) / 1000)));
    tick();
    if (!seconds) return undefined;
    const timer = setInterval(tick, 500);
    return () => clearInterval(timer);
  }, [seconds, since]);
  return left;
}
