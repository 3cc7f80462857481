// The frame of every signed-in page: skip link, navigation, who is signed in, and where focus goes.
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { meQuery, useSignOut } from "../api/me";
import { Button } from "./kit";

export interface NavGroup {
  label: string;
  links: { to: string; label: string; exact?: boolean }[];
}

export function Shell({ groups, title }: { groups: NavGroup[]; title: string }) {
  const me = useQuery(meQuery);
  const signOut = useSignOut();
  const [open, setOpen] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const first = useRef(true);

  useEffect(() => {
    setOpen(false);
    if (first.current) {
      first.current = false;
      return;
    }
    // A new page is announced by its heading.
    requestAnimationFrame(() => document.getElementById("page-title")?.focus({ preventScroll: true }));
  }, [path]);

  return (
    <>
      <a className="skip button" href="#main">
        Skip to content
      </a>
      <header className="topbar">
        <span className="brand">
          <img src="/icon.svg" alt="" />
          {title}
        </span>
        <Button small onPress={() => setOpen(!open)} aria-expanded={open} aria-controls="nav">
          Menu
        </Button>
      </header>
      <div className="shell">
        <nav id="nav" aria-label="Main" {...(open ? { "data-open": "" } : {})}>
          <span className="brand">
            <img src="/icon.svg" alt="" />
            {title}
          </span>
          {groups.map((group) => (
            <div key={group.label}>
              <h2 id={`nav-${group.label}`}>{group.label}</h2>
              <ul aria-labelledby={`nav-${group.label}`}>
                {group.links.map((link) => (
                  <li key={link.to}>
                    <Link to={link.to} activeOptions={{ exact: link.exact ?? false }}>
                      {link.label}
                    </Link>
                  </li>
                ))}
              </ul>
            </div>
          ))}
          <div className="stack tight">
            <ThemeSwitch />
            <p className="hint">
              Signed in as <strong>{me.data?.user.username ?? "…"}</strong>
            </p>
            <div>
              <Button small onPress={() => signOut.mutate()}>
                Sign out
              </Button>
            </div>
          </div>
        </nav>
        <main id="main" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
    </>
  );
}

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

export function applyTheme(theme: string | null): void {
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
  else delete document.documentElement.dataset["theme"];
}

function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(() => (localStorage.getItem("theme") as Theme | null) ?? "system");
  return (
    <div className="field">
      <label htmlFor="theme">Theme</label>
      <select
        id="theme"
        value={theme}
        onChange={(event) => {
          const next = event.target.value as Theme;
          setTheme(next);
          localStorage.setItem("theme", next);
          applyTheme(next);
        }}
      >
        {THEMES.map((one) => (
          <option key={one} value={one}>
            {one === "system" ? "As the system" : one === "light" ? "Light" : "Dark"}
          </option>
        ))}
      </select>
    </div>
  );
}
