// A terminal with its toolbar: how the line is, text size, what is still being sent, and the way out.
import { Suspense, lazy, useRef, useState, type ReactNode } from "react";
import { Badge, Button, Loading, bytes, type Tone } from "../../ui/kit";
import { WINDOW, type Status, type TerminalLink } from "./link";

const Emulator = lazy(() => import("./Emulator"));

const LOOKS: Record<Status["at"], [Tone, string]> = {
  connecting: ["busy", "Connecting"],
  open: ["good", "Connected"],
  waiting: ["warn", "Not connected"],
  over: ["quiet", "Closed"],
};
const SIZE = { least: 10, usual: 14, most: 28 };

function storedSize(): number {
  const size = Number(localStorage.getItem("terminal-size"));
  return size >= SIZE.least && size <= SIZE.most ? size : SIZE.usual;
}

export function Terminal({ id, tools }: { id: string; tools?: ReactNode }) {
  const [status, setStatus] = useState<Status>({ at: "connecting", detail: "Opening the terminal." });
  const [size, setSize] = useState(storedSize);
  const [spoken, setSpoken] = useState(() => localStorage.getItem("terminal-spoken") === "yes");
  const [behind, setBehind] = useState(0);
  const link = useRef<TerminalLink>(undefined);
  const bar = useRef<HTMLDivElement>(null);
  const [tone, word] = LOOKS[status.at];
  const grow = (by: number) => {
    const next = Math.min(SIZE.most, Math.max(SIZE.least, size + by));
    setSize(next);
    localStorage.setItem("terminal-size", String(next));
  };
  return (
    <div className="terminal">
      <div className="row apart" role="toolbar" aria-label="Terminal tools" ref={bar}>
        <div className="row tight" role="status">
          <Badge tone={tone}>{word}</Badge>
          {"detail" in status && <span>{status.detail}</span>}
          {status.at === "over" && status.again && (
            <Button small look="primary" onPress={() => (status.again === "New session" ? link.current?.anew() : link.current?.again())}>
              {status.again}
            </Button>
          )}
          {status.at === "waiting" && (
            <Button small onPress={() => link.current?.again()}>
              Reconnect now
            </Button>
          )}
          {behind > WINDOW && <span className="hint">{bytes(behind)} of what you pasted are still being taken.</span>}
        </div>
        <div className="row tight">
          <Button small aria-label="A− Smaller text" onPress={() => grow(-1)}>
            A−
          </Button>
          <Button small aria-label="A+ Larger text" onPress={() => grow(1)}>
            A+
          </Button>
          {tools}
        </div>
      </div>
      <Suspense fallback={<Loading lines={8} />}>
        <Emulator
          allocation={id}
          fontSize={size}
          spoken={spoken}
          onStatus={setStatus}
          onBehind={setBehind}
          onLeave={() => bar.current?.querySelector<HTMLElement>("button, a")?.focus()}
          take={(made) => {
            link.current = made;
          }}
        />
      </Suspense>
      <div className="row apart">
        <p className="hint">
          <kbd>Shift</kbd>+<kbd>F6</kbd> leaves the terminal. <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>C</kbd> copies,{" "}
          <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>V</kbd> pastes.
        </p>
        <label className="check">
          <input
            type="checkbox"
            checked={spoken}
            onChange={(event) => {
              setSpoken(event.target.checked);
              localStorage.setItem("terminal-spoken", event.target.checked ? "yes" : "no");
            }}
          />
          Read output aloud with a screen reader
        </label>
      </div>
    </div>
  );
}
