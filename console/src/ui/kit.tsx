// The few parts that every page is made of. Behaviour and keyboard come from React Aria, looks from kit.css.
import { useEffect, useId, useState, type ReactNode } from "react";
import {
  Button as AriaButton,
  Dialog as AriaDialog,
  Heading,
  Modal,
  ModalOverlay,
  type ButtonProps as AriaButtonProps,
} from "react-aria-components";
import { Problem } from "../api/http";

type Look = "primary" | "danger" | "plain" | "ordinary";

export interface ButtonProps extends AriaButtonProps {
  look?: Look;
  small?: boolean;
  /** Why it cannot be pressed now; said in text beside the button, and disables it. */
  blocked?: string | undefined;
}

/** A button that says why when it cannot be pressed. */
export function Button({ look = "ordinary", small, blocked, isDisabled, ...rest }: ButtonProps) {
  const reason = useId();
  const button = (
    <AriaButton
      {...rest}
      {...(blocked ? { "aria-describedby": reason } : {})}
      isDisabled={Boolean(isDisabled || blocked)}
      className={`button ${look} ${small ? "small" : ""}`}
    />
  );
  if (!blocked) return button;
  return (
    <span className="row">
      {button}
      <span id={reason} className="hint">
        {blocked}
      </span>
    </span>
  );
}

export type Tone = "good" | "warn" | "bad" | "busy" | "quiet";

const GLYPHS: Record<Tone, string> = {
  good: "M3 8.5l3.2 3L13 4.5",
  warn: "M8 2.5v6.5M8 12.2v.6",
  bad: "M4 4l8 8M12 4l-8 8",
  busy: "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
  quiet: "M3.5 8h9",
};

/** A state: colour, shape and word, so that none of them stands alone. */
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

/** Something to know, with what to do about it. */
export function Notice({ tone = "quiet", title, children }: { tone?: Tone; title: ReactNode; children?: ReactNode }) {
  return (
    <section className={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <strong>{title}</strong>
      {children}
    </section>
  );
}

/** A failed call: the sentence, the next step, and the correlation id with a copy button. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const body = error instanceof Problem ? error.body : undefined;
  const sentence = error instanceof Error ? error.message : String(error);
  return (
    <Notice tone="bad" title={sentence}>
      {body?.errors && body.errors.length > 0 && (
        <ul>
          {body.errors.map((one, at) => (
            <li key={at}>
              {one.field && <code>{one.field}</code>} {one.message ?? one.detail}
            </li>
          ))}
        </ul>
      )}
      <div className="row">
        {retry && (
          <Button small onPress={retry}>
            Try again
          </Button>
        )}
        {body?.action?.href?.startsWith("/") && !body.action.href.startsWith("/api/") && (
          <a className="button small" href={body.action.href}>
            {body.action.label}
          </a>
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

/** Copies, and says that it did. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, say] = useState<string>();
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => say(undefined), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = () => navigator.clipboard.writeText(text).then(() => say("Copied"), () => say("Select and copy by hand"));
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

/** Nothing here, and the way on. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** The shape of what is being loaded. */
export function Loading({ lines = 4 }: { lines?: number }) {
  return (
    <div className="stack" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, at) => (
        <div key={at} className="skeleton" style={{ width: `${90 - ((at * 17) % 45)}%` }} />
      ))}
    </div>
  );
}

/** One of loading, failed or the thing itself. */
export function Loaded<T>({
  query,
  children,
  lines,
}: {
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
  lines?: number;
}) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error ? <Failed error={query.error} retry={() => void query.refetch()} /> : null}
        {children(query.data)}
      </>
    );
  }
  if (query.error) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return <Loading {...(lines ? { lines } : {})} />;
}

/** A question that holds the page until it is answered; Escape and Cancel mean no. */
export function Dialog({
  title,
  isOpen,
  onClose,
  children,
}: {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <ModalOverlay className="veil" isDismissable isOpen={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Modal>
        <AriaDialog className="dialog">
          <Heading slot="title" level={2}>
            {title}
          </Heading>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

/** A page: its heading takes the focus when one comes here, and names the document. */
export function Page({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Muster`;
  }, [title]);
  return (
    <>
      <header className="row apart">
        <h1 tabIndex={-1} id="page-title">
          {title}
        </h1>
        {aside && <div className="row">{aside}</div>}
      </header>
      {children}
    </>
  );
}

/** How long ago, with the exact time on hover and for screen readers. */
export function Ago({ at }: { at: string | null | undefined }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 5000);
    return () => clearInterval(timer);
  }, []);
  if (!at) return <span className="hint">never</span>;
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {sayAgo(Date.now() - Date.parse(at))}
    </time>
  );
}

export function sayAgo(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 5) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
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
