// The page around a terminal: what state the line is in, text size, and the way back.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Suspense, lazy, useRef, useState } from "react";
import { oneQuery } from "../../api/lists";
import type { Allocation } from "../../api/types";
import { Badge, Button, Failed, Loading, Page, type Tone } from "../../ui/kit";
import type { Status, TerminalLink } from "./link";

const Emulator = lazy(() => import("./Emulator"));

const LOOKS: Record<Status["at"], [Tone, string]> = {
  connecting: ["busy", "Connecting"],
  open: ["good", "Connected"],
  waiting: ["warn", "Not connected"],
  over: ["quiet", "Closed"],
};

function storedSize(): number {
  const size = Number(localStorage.getItem("terminal-size"));
  return size >= 10 && size <= 28 ? size : 14;
}

export function TerminalPage({ id }: { id: string }) {
  const one = useQuery(oneQuery<Allocation>(`/api/v1/allocations/${id}`, 5000));
  const [status, setStatus] = useState<Status>({ at: "connecting", detail: "Opening the terminal." });
  const [size, setSize] = useState(storedSize);
  const [spoken, setSpoken] = useState(() => localStorage.getItem("terminal-spoken") === "yes");
  const link = useRef<TerminalLink>(undefined);
  const back = useRef<HTMLAnchorElement>(null);
  const [tone, word] = LOOKS[status.at];
  const grow = (by: number) => {
    const next = Math.min(28, Math.max(10, size + by));
    setSize(next);
    localStorage.setItem("terminal-size", String(next));
  };
  if (one.error && !one.data) return <Page title="Terminal"><Failed error={one.error} retry={() => void one.refetch()} /></Page>;
  return (
    <Page
      title={one.data ? `Terminal of ${one.data.name}` : "Terminal"}
      aside={
        <>
          <Button small aria-label="Smaller text" onPress={() => grow(-1)}>
            A−
          </Button>
          <Button small aria-label="Larger text" onPress={() => grow(1)}>
            A+
          </Button>
          <Link ref={back} className="button small" to={"/workloads/$id" as string} params={{ id } as never}>
            Back to the workload
          </Link>
        </>
      }
    >
      <div className="row" role="status">
        <Badge tone={tone}>{word}</Badge>
        {"detail" in status && <span>{status.detail}</span>}
        {status.at === "over" && status.again && (
          <Button small look="primary" onPress={() => (status.again === "New session" ? link.current?.anew() : link.current?.again())}>
            {status.again}
          </Button>
        )}
      </div>
      <Suspense fallback={<Loading lines={8} />}>
        <Emulator
          allocation={id}
          fontSize={size}
          spoken={spoken}
          onStatus={setStatus}
          onLeave={() => back.current?.focus()}
          take={(made) => {
            link.current = made;
          }}
        />
      </Suspense>
      <div className="row apart">
        <p className="hint">Shift+F6 leaves the terminal. Ctrl+Shift+C copies, Ctrl+Shift+V pastes.</p>
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
    </Page>
  );
}
