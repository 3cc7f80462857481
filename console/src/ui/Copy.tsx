// Copies, and says that it did.
import { useEffect, useState } from "react";
import { Button } from "./Button";

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, say] = useState<string>();
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => say(undefined), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  // Without a secure origin the browser has no clipboard: then the text is there to be selected.
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("Select and copy by hand");
    }
  };
  return (
    <Button look="plain" small onPress={() => void copy()} aria-label={`Copy ${what}`}>
      <span aria-live="polite">{said ?? "Copy"}</span>
    </Button>
  );
}

/** A line to paste elsewhere. */
export function CopyLine({ text, what }: { text: string; what: string }) {
  return (
    <div className="copy">
      <code>{text}</code>
      <CopyButton text={text} what={what} />
    </div>
  );
}

/** An id in short for the eye, in full for the clipboard. */
export function Id({ of }: { of: string }) {
  return <code title={of}>{of.length > 16 ? `${of.slice(0, 3)}…${of.slice(-6)}` : of}</code>;
}
