// The line to a shell: a token for each connection, offsets both ways, and coming back after any loss.
//
//   idle ──token──> connecting ──session_ready──> open ──loss──> waiting ──> connecting …
//                                                   └──exit, release, take-over──> over
import { Problem, ask } from "../../api/http";

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

const CHUNK = 16 * 1024;
const ACK_EVERY = 64 * 1024;

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
  /** Input the shell has not taken yet, and the offset of its first byte. */
  private unsent: Uint8Array[] = [];
  private unsentFrom = 0;
  /** Until then answers to replayed questions of programs are not typed into the shell again. */
  private replayUntil = 0;

  constructor(
    private readonly allocation: string,
    private readonly screen: Screen,
  ) {
    this.session = sessionStorage.getItem(this.stored) ?? undefined;
    addEventListener("online", this.hurry);
  }

  private get stored(): string {
    return `terminal-${this.allocation}`;
  }

  /** Connects, again if it has to. */
  connect = async (): Promise<void> => {
    clearTimeout(this.timer);
    if (this.stopped) return;
    this.screen.status({ at: "connecting", detail: this.tries ? "Coming back to your session." : "Opening the terminal." });
    let token: string;
    try {
      ({ token } = await ask<{ token: string }>(`/api/v1/allocations/${this.allocation}/terminal-token`, { method: "POST", body: {} }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const passes = error.body.status === 0 || error.body.status >= 500 || error.body.status === 429;
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
      if (typeof data === "string") this.heard(JSON.parse(data) as Said);
      else this.show(new Uint8Array(data));
    };
    socket.onclose = (event) => this.closed(event.code);
  };

  /** Takes what the person typed or pasted; it is kept until the shell has it. */
  type(data: Uint8Array, isAnswer: boolean): void {
    if (isAnswer && Date.now() < this.replayUntil) return;
    for (let at = 0; at < data.length; at += CHUNK) {
      const piece = data.slice(at, at + CHUNK);
      this.unsent.push(piece);
      if (this.ready) this.socket?.send(piece);
    }
  }

  resize(cols: number, rows: number): void {
    if (this.ready) this.socket?.send(JSON.stringify({ t: "resize", cols, rows }));
  }

  /** A new shell instead of the one that is over. */
  anew = (): void => {
    this.forget();
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
    removeEventListener("online", this.hurry);
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
    if (said.resumed && this.shown === undefined) this.replayUntil = Date.now() + 1000;
    this.shown = said.offset ?? 0;
    this.acked = this.shown;
    this.tries = 0;
    this.ready = true;
    const taken = said.input_offset ?? 0;
    if (this.unsent.length === 0 || !said.resumed) this.unsentFrom = taken;
    this.drop(taken);
    for (const piece of this.unsent) this.socket?.send(piece);
    this.screen.status({ at: "open" });
  }

  private drop(taken: number): void {
    let first = this.unsent[0];
    while (first && this.unsentFrom + first.length <= taken) {
      this.unsentFrom += first.length;
      this.unsent.shift();
      first = this.unsent[0];
    }
    if (first && taken > this.unsentFrom) {
      this.unsent[0] = first.slice(taken - this.unsentFrom);
      this.unsentFrom = taken;
    }
    if (!first) this.unsentFrom = Math.max(this.unsentFrom, taken);
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
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.connect();
    }, wait);
  }

  private forget(): void {
    sessionStorage.removeItem(this.stored);
    this.session = undefined;
    this.shown = undefined;
    this.unsent = [];
    this.unsentFrom = 0;
    this.exited = false;
    this.tries = 0;
  }
}
