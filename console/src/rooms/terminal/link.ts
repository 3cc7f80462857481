// The line to a shell: a token for each connection, offsets both ways, and coming back after any loss.
//
//   idle ──token──> connecting ──session_ready──> open ──loss──> waiting ──> connecting …
//                                                   └──exit, release, take-over──> over
import { Problem, ask } from "../../api/http";
import type { Me, Paged, ShellSession } from "../../api/types";

export type Status =
  | { at: "connecting"; detail: string }
  | { at: "open" }
  | { at: "waiting"; detail: string }
  | { at: "over"; detail: string; again: string | undefined };

export interface Screen {
  size: () => { cols: number; rows: number };
  /** Shows bytes; `done` once they are taken. */
  write: (data: Uint8Array, done: () => void) => void;
  note: (text: string) => void;
  /** Output from the beginning follows: forget what stands there. */
  clear: () => void;
  status: (status: Status) => void;
  /** Bytes typed or pasted that the shell has still to take; said while they are more than a moment's. */
  behind: (bytes: number) => void;
}

interface Said {
  t: string;
  session_id?: string;
  resumed?: boolean;
  offset?: number;
  input_offset?: number;
  input?: number;
  code?: string | number;
  detail?: string;
  from?: number;
  to?: number;
}

/** Refusals of a token that pass by themselves: a node comes back after its link was lost. */
const PASSING = ["node_offline", "node_timeout", "agent_busy"];
const CHUNK = 16 * 1024;
const ACK_EVERY = 64 * 1024;
/** Input that may be under way without the shell having taken it: a large paste waits here, not in the network. */
export const WINDOW = 128 * 1024;
/** How often the other side is asked whether it is there, and after how much silence the line counts as lost. */
const PING_MS = 10_000;
const SILENCE_MS = 25_000;

export class TerminalLink {
  private socket: WebSocket | undefined;
  private session: string | undefined;
  /** Output before this offset is on the screen; undefined before the first byte of this page. */
  private shown: number | undefined;
  private acked = 0;
  private error: { code: string; detail: string } | undefined;
  private exited = false;
  private stopped = false;
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;
  private heardAt = 0;
  /** Input the shell has not taken yet, the offset of its first byte, and of the first byte not sent on this socket. */
  private untaken: Uint8Array[] = [];
  private untakenFrom = 0;
  private sentTo = 0;
  private typedTo = 0;
  /** The person asked for a new shell. */
  private wantsNew = false;
  /** Until then answers to replayed questions of programs are not typed into the shell again. */
  private replayUntil = 0;

  constructor(
    private readonly allocation: string,
    private readonly screen: Screen,
  ) {
    this.session = sessionStorage.getItem(this.stored) ?? undefined;
    addEventListener("online", this.hurry);
    addEventListener("offline", this.lose);
  }

  private get stored(): string {
    return `terminal-${this.allocation}`;
  }

  /** Connects, again if it has to. */
  connect = async (): Promise<void> => {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.stopped) return;
    this.screen.status({ at: "connecting", detail: this.tries ? "Coming back to your session." : "Opening the terminal." });
    let token: string;
    try {
      this.session ??= await this.left();
      ({ token } = await ask<{ token: string }>(`/api/v1/allocations/${this.allocation}/terminal-token`, { method: "POST", body: {} }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const { status, code } = error.body;
      const passes = status === 0 || status >= 500 || status === 429 || PASSING.includes(code);
      if (passes) this.later(error.message, error.retryAfter);
      else this.over(error.message, "Try again");
      return;
    }
    if (this.stopped) return;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/terminal/${this.allocation}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.error = undefined;
    socket.onopen = () => {
      const back = this.session ? { session_id: this.session, ...(this.shown === undefined ? {} : { after: this.shown }) } : {};
      socket.send(JSON.stringify({ t: "auth", token, ...back, ...this.screen.size() }));
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== this.socket) return;
      this.heardAt = Date.now();
      if (typeof data === "string") this.heard(JSON.parse(data) as Said);
      else this.show(new Uint8Array(data));
    };
    socket.onclose = (event) => socket === this.socket && this.closed(event.code);
    this.heardAt = Date.now();
    clearInterval(this.watch);
    this.watch = setInterval(() => {
      if (Date.now() - this.heardAt > SILENCE_MS) this.lose();
      else if (this.ready) socket.send(JSON.stringify({ t: "ping" }));
    }, PING_MS);
  };

  /** The shell that this person left last, in a page that was closed: its programs run on. */
  private async left(): Promise<string | undefined> {
    if (this.wantsNew) return undefined;
    const [me, { items }] = await Promise.all([
      ask<Me>("/api/v1/me"),
      ask<Paged<ShellSession>>(`/api/v1/allocations/${this.allocation}/sessions`),
    ]);
    return items
      .filter((one) => one.kind === "terminal" && one.state === "detached" && one.user_id === me.user.id)
      .sort((a, b) => b.attached_at.localeCompare(a.attached_at))[0]?.id;
  }

  /** Gives a line up that may look open for minutes although nothing comes through. */
  private lose = (): void => {
    const socket = this.socket;
    if (!socket || this.timer) return;
    this.socket = undefined;
    socket.close();
    this.closed(1006);
  };

  /** Takes what the person typed or pasted; it is kept until the shell has it. */
  type(data: Uint8Array, isAnswer: boolean): void {
    if (isAnswer && Date.now() < this.replayUntil) return;
    for (let at = 0; at < data.length; at += CHUNK) {
      this.untaken.push(data.slice(at, at + CHUNK));
    }
    this.typedTo += data.length;
    this.pump();
  }

  resize(cols: number, rows: number): void {
    if (this.ready) this.socket?.send(JSON.stringify({ t: "resize", cols, rows }));
  }

  /** A new shell instead of the one that is over. */
  anew = (): void => {
    this.forget();
    this.wantsNew = true;
    this.screen.clear();
    void this.connect();
  };

  /** The same session again, taken back from where it was opened. */
  again = (): void => {
    this.tries = 0;
    void this.connect();
  };

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    clearInterval(this.watch);
    removeEventListener("online", this.hurry);
    removeEventListener("offline", this.lose);
    this.socket?.close(1000);
  }

  private ready = false;

  private hurry = (): void => {
    if (this.timer) void this.connect();
  };

  private heard(said: Said): void {
    switch (said.t) {
      case "session_ready":
        this.begin(said);
        break;
      case "ack":
        this.drop(said.input ?? 0);
        this.pump();
        break;
      case "notice":
        if (said.code === "output_skipped") {
          this.shown = said.to ?? this.shown;
          this.screen.note(`${(said.to ?? 0) - (said.from ?? 0)} bytes of output are gone`);
        }
        break;
      case "exit":
        this.exited = true;
        this.error = { code: "exit", detail: `The shell ended with code ${said.code}.` };
        break;
      case "error":
        this.error = { code: String(said.code), detail: said.detail ?? "" };
        break;
    }
  }

  private begin(said: Said): void {
    this.session = said.session_id;
    if (said.session_id) sessionStorage.setItem(this.stored, said.session_id);
    this.wantsNew = false;
    if (said.resumed && this.shown === undefined) this.replayUntil = Date.now() + 1000;
    this.shown = said.offset ?? 0;
    this.acked = this.shown;
    this.tries = 0;
    this.ready = true;
    const taken = said.input_offset ?? 0;
    // A new shell, or one whose input this page has never seen: count from where it stands.
    if (!said.resumed || this.untaken.length === 0) {
      const left = this.typedTo - this.untakenFrom;
      this.untakenFrom = taken;
      this.typedTo = taken + left;
    }
    this.drop(taken);
    this.sentTo = this.untakenFrom;
    this.screen.status({ at: "open" });
    this.pump();
  }

  /** Sends what the window lets out. */
  private pump(): void {
    let from = this.untakenFrom;
    for (const piece of this.untaken) {
      if (!this.ready || this.sentTo - this.untakenFrom >= WINDOW) break;
      if (from >= this.sentTo) {
        this.socket?.send(piece);
        this.sentTo = from + piece.length;
      }
      from += piece.length;
    }
    this.screen.behind(this.typedTo - this.untakenFrom);
  }

  /** Forgets input that the shell has taken. */
  private drop(taken: number): void {
    let first = this.untaken[0];
    while (first && this.untakenFrom + first.length <= taken) {
      this.untakenFrom += first.length;
      this.untaken.shift();
      first = this.untaken[0];
    }
    if (first && taken > this.untakenFrom) {
      this.untaken[0] = first.slice(taken - this.untakenFrom);
      this.untakenFrom = taken;
    }
    if (!first) this.untakenFrom = Math.max(this.untakenFrom, taken);
    this.typedTo = Math.max(this.typedTo, this.untakenFrom);
  }

  private show(data: Uint8Array): void {
    const socket = this.socket;
    this.shown = (this.shown ?? 0) + data.length;
    const upTo = this.shown;
    this.screen.write(data, () => {
      if (socket !== this.socket || !this.ready) return;
      if (upTo - this.acked < ACK_EVERY) return;
      this.acked = upTo;
      socket?.send(JSON.stringify({ t: "ack", output: upTo }));
    });
  }

  private closed(code: number): void {
    this.ready = false;
    clearInterval(this.watch);
    if (this.stopped) return;
    const why = this.error?.code ?? "";
    const detail = this.error?.detail ?? "";
    if (this.exited) this.over(detail, "New session");
    else if (code === 4404 || why === "session_gone") this.over(detail || "That session is gone.", "New session");
    else if (why === "superseded") this.over("This session was opened in another window.", "Take it back");
    else if (code === 4409) this.over("The workload is released; its terminals are closed.", undefined);
    else if (code === 4429) this.over("There are too many open sessions. Close one, then try again.", "Try again");
    else if (code === 4403) this.over("This page has another address than the coordinator allows.", undefined);
    else if (code === 1011 && why && why !== "internal") this.over(detail || why, "Try again");
    else if (code === 4410) this.later("The node is not connected. Your programs run on.");
    else this.later(detail || "The connection is lost. Your programs run on.");
  }

  private over(detail: string, again: string | undefined): void {
    if (again === "New session") this.forget();
    this.screen.status({ at: "over", detail, again });
  }

  private later(detail: string, seconds?: number): void {
    const wait = seconds ? seconds * 1000 : Math.min(8000, 250 * 2 ** this.tries);
    this.tries += 1;
    this.screen.status({ at: "waiting", detail: `${detail} Trying again.` });
    this.timer = setTimeout(() => void this.connect(), wait);
  }

  private forget(): void {
    sessionStorage.removeItem(this.stored);
    this.session = undefined;
    this.shown = undefined;
    this.untaken = [];
    this.untakenFrom = 0;
    this.sentTo = 0;
    this.typedTo = 0;
    this.exited = false;
    this.tries = 0;
    this.screen.behind(0);
  }
}
