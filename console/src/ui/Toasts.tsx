// Where short notes are shown and read aloud, politely; one that is pointed at or focused stays.
import { useEffect, useState } from "react";
import { Button } from "./Button";
import { Go } from "./Go";
import { STAYS_MS, dismiss, useToasts, type Toast } from "./toasts";

export function Toasts() {
  const toasts = useToasts();
  return (
    <div className="toasts" role="status" aria-live="polite" aria-label="Notes">
      {toasts.map((toast) => (
        <One key={toast.id} toast={toast} />
      ))}
    </div>
  );
}

function One({ toast }: { toast: Toast }) {
  const [held, hold] = useState(false);
  useEffect(() => {
    if (held) return undefined;
    const timer = setTimeout(() => dismiss(toast.id), STAYS_MS);
    return () => clearTimeout(timer);
  }, [held, toast.id]);
  return (
    <div
      className="toast"
      onPointerEnter={() => hold(true)}
      onPointerLeave={() => hold(false)}
      onFocus={() => hold(true)}
      onBlur={() => hold(false)}
    >
      <span>{toast.text}</span>
      {toast.link && (
        <Go to={toast.link.to} onClick={() => dismiss(toast.id)}>
          {toast.link.word}
        </Go>
      )}
      <Button look="plain" small aria-label="Dismiss" onPress={() => dismiss(toast.id)}>
        ×
      </Button>
    </div>
  );
}
