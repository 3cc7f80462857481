// The emulator in the page, loaded only when a terminal is opened.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { useEffect, useRef } from "react";
import { TerminalLink, type Status } from "./link";

/** What a program's questions to the terminal are answered with: nobody types these. */
// eslint-disable-next-line no-control-regex
const ANSWER = /^\x1b(\[[?>]?[\d;]*[cRny]|\]\d+;|P)/;

const COLOURS = { background: "#0b0e0d", foreground: "#e7ece9", cursor: "#5fc7a8", selectionBackground: "#2f5d50" };

export default function Emulator({
  allocation,
  fontSize,
  spoken,
  onStatus,
  onBehind,
  onLeave,
  take,
}: {
  allocation: string;
  fontSize: number;
  spoken: boolean;
  onStatus: (status: Status) => void;
  onBehind: (bytes: number) => void;
  onLeave: () => void;
  take: (link: TerminalLink) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const parts = useRef<{ term: Terminal; fit: FitAddon } | undefined>(undefined);
  const calls = useRef({ onStatus, onBehind, onLeave, take });
  calls.current = { onStatus, onBehind, onLeave, take };

  useEffect(() => {
    if (!box.current) return undefined;
    const term = new Terminal({
      fontFamily: getComputedStyle(box.current).getPropertyValue("--mono"),
      fontSize: 14,
      scrollback: 20_000,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      theme: COLOURS,
    });
    const fit = new FitAddon();
    term.loadAddon(fit);
    term.open(box.current);
    term.textarea?.setAttribute("aria-label", "Terminal");
    fit.fit();
    parts.current = { term, fit };

    const link = new TerminalLink(allocation, {
      size: () => ({ cols: term.cols, rows: term.rows }),
      write: (data, done) => term.write(data, done),
      note: (text) => term.write(`\r\n\x1b[2m[${text}]\x1b[0m\r\n`),
      clear: () => term.reset(),
      behind: (bytes) => calls.current.onBehind(bytes),
      status: (status) => {
        calls.current.onStatus(status);
        if (status.at === "open") term.focus();
      },
    });
    const encoder = new TextEncoder();
    term.onData((text) => link.type(encoder.encode(text), ANSWER.test(text)));
    term.onBinary((text) => link.type(Uint8Array.from(text, (letter) => letter.charCodeAt(0)), true));
    term.onResize(({ cols, rows }) => link.resize(cols, rows));
    term.attachCustomKeyEventHandler((event) => {
      if (event.type !== "keydown") return true;
      if (event.key === "F6" && event.shiftKey) {
        calls.current.onLeave();
        return false;
      }
      if (event.ctrlKey && event.shiftKey && event.code === "KeyC" && term.hasSelection()) {
        void navigator.clipboard.writeText(term.getSelection());
        event.preventDefault();
        return false;
      }
      // The browser pastes by itself.
      return !(event.ctrlKey && event.shiftKey && event.code === "KeyV");
    });
    const watcher = new ResizeObserver(() => fit.fit());
    watcher.observe(box.current);
    calls.current.take(link);
    void link.connect();
    return () => {
      watcher.disconnect();
      link.stop();
      term.dispose();
    };
  }, [allocation]);

  useEffect(() => {
    if (!parts.current) return;
    parts.current.term.options.fontSize = fontSize;
    parts.current.term.options.screenReaderMode = spoken;
    parts.current.fit.fit();
  }, [fontSize, spoken]);

  return <div className="screen" ref={box} />;
}
