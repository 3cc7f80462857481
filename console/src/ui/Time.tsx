// Times, spans and sizes in words. The exact time stands in the title and for machines.
import { useEffect, useState } from "react";

/** How long ago. */
export function Ago({ at }: { at: string | null | undefined }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 5000);
    return () => clearInterval(timer);
  }, []);
  if (!at) return <span className="hint">never</span>;
  return (
    <time dateTime={at} title={exactly(at)}>
      {sayAgo(Date.now() - Date.parse(at))}
    </time>
  );
}

/** The local time of a moment; the day too, if it is not today. */
export function When({ at }: { at: string }) {
  const time = new Date(at);
  const today = time.toDateString() === new Date().toDateString();
  return (
    <time dateTime={at} title={exactly(at)} className="nowrap">
      {today ? time.toLocaleTimeString() : time.toLocaleString()}
    </time>
  );
}

function exactly(at: string): string {
  return `${new Date(at).toLocaleString()} · ${new Date(at).toISOString()}`;
}

export function sayAgo(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 5) return "now";
  return `${saySpan(seconds)} ago`;
}

/** A length of time in its two largest units. */
export function saySpan(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Bytes in binary units; null is said, never shown as zero. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "not reported";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let left = value;
  while (left >= 1024 && at < units.length - 1) {
    left /= 1024;
    at += 1;
  }
  return `${left >= 100 || Number.isInteger(left) ? Math.round(left) : left.toFixed(1)} ${units[at]}`;
}
