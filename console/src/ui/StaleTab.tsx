// Says when the coordinator serves another console than the one in this tab. Nothing is reloaded by itself, so that
// what somebody is typing stays.
import { useEffect, useState } from "react";
import { Button } from "./Button";
import { Notice } from "./Notice";

const LOOK_MS = 60_000;
const own = document.querySelector<HTMLScriptElement>("script[type=module][src]")?.getAttribute("src") ?? "";

export function StaleTab() {
  const [stale, setStale] = useState(false);
  useEffect(() => {
    if (!own) return undefined;
    const look = async () => {
      try {
        const page = await (await fetch("/", { headers: { accept: "text/html" }, cache: "no-cache" })).text();
        if (page.includes("<div id=\"root\">") && !page.includes(own)) setStale(true);
      } catch {
        // The coordinator is away; the pages say so themselves.
      }
    };
    const timer = setInterval(() => void look(), LOOK_MS);
    const seen = () => document.visibilityState === "visible" && void look();
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, []);
  if (!stale) return null;
  return (
    <Notice tone="warn" title="A newer console is here">
      <div className="row">
        <span>This page is from before an upgrade. Finish what you are doing, then reload.</span>
        <Button small onPress={() => location.reload()}>
          Reload
        </Button>
      </div>
    </Notice>
  );
}
