// Dark or light: as the system says, unless the person chose. Pictures that hold colours listen.
import { useSyncExternalStore } from "react";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const STORED = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
const tell = () => listeners.forEach((listener) => listener());
system.addEventListener("change", tell);

function chosen(): Theme {
  const theme = localStorage.getItem(STORED);
  return theme === "light" || theme === "dark" ? theme : "system";
}

function apply(): void {
  const theme = chosen();
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

/** Before the first picture, so that nothing flashes. */
export function startTheme(): void {
  apply();
  // Another tab chose.
  addEventListener("storage", (event) => {
    if (event.key !== STORED) return;
    apply();
    tell();
  });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const theme = useSyncExternalStore(subscribe, chosen);
  const choose = (next: Theme) => {
    localStorage.setItem(STORED, next);
    apply();
    tell();
  };
  return [theme, choose];
}

/** `dark` or `light`, as it is on the screen now. */
export function useLook(): "dark" | "light" {
  return useSyncExternalStore(subscribe, () => {
    const theme = chosen();
    if (theme !== "system") return theme;
    return system.matches ? "dark" : "light";
  });
}
