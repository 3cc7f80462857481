// The frame of every signed-in page: skip link, navigation, who is signed in, and where focus goes.
import { Outlet, useRouterState } from "@tanstack/react-router";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { follow, useLiveUp } from "../api/live";
import { meQuery, useSignOut } from "../api/me";
import { arrived } from "./arrive";
import { remember } from "./back";
import { Button } from "./Button";
import { Choice } from "./Choice";
import { Go } from "./Go";
import { StaleTab } from "./StaleTab";
import { THEMES, useTheme, type Theme } from "./theme";
import { Toasts } from "./Toasts";

export interface NavLink {
  to: string;
  label: string;
  /** Other paths that belong to it. */
  also?: string[];
  /** A number beside it, and what it counts; none at zero. */
  useCount?: () => { count: number; what: string } | undefined;
}

export interface NavGroup {
  label: string;
  links: NavLink[];
}

export function Shell({ groups, title }: { groups: NavGroup[]; title: string }) {
  const [open, setOpen] = useState(false);
  const { pathname: path, searchStr } = useRouterState({ select: (state) => state.location });
  const client = useQueryClient();
  const first = useRef(true);

  useEffect(() => follow(client), [client]);
  useEffect(() => remember(path, searchStr), [path, searchStr]);
  useEffect(() => {
    setOpen(false);
    if (first.current) {
      first.current = false;
      return;
    }
    // A new page is announced by its heading.
    arrived();
  }, [path]);

  return (
    <>
      <a className="skip button" href="#main">
        Skip to content
      </a>
      <header className="topbar">
        <Brand title={title} />
        <Button small onPress={() => setOpen(!open)} aria-expanded={open} aria-controls="nav">
          Menu
        </Button>
      </header>
      <div className="shell">
        <nav id="nav" aria-label="Main" {...(open ? { "data-open": "" } : {})}>
          <Brand title={title} />
          {groups.map((group) => (
            <div key={group.label}>
              <p id={`nav-${group.label}`} className="group">
                {group.label}
              </p>
              <ul aria-labelledby={`nav-${group.label}`}>
                {group.links.map((link) => (
                  <li key={link.to}>
                    <Entry link={link} path={path} />
                  </li>
                ))}
              </ul>
            </div>
          ))}
          <Person />
        </nav>
        <main id="main" tabIndex={-1}>
          <StaleTab />
          <Outlet />
        </main>
      </div>
      <Toasts />
    </>
  );
}

function Brand({ title }: { title: string }) {
  return (
    <span className="brand">
      <img src="/icon.svg" alt="" />
      {title}
    </span>
  );
}

const none = () => undefined;

function Entry({ link, path }: { link: NavLink; path: string }) {
  const counted = (link.useCount ?? none)();
  const within = (to: string) => path === to || (to !== "/" && path.startsWith(`${to}/`));
  const here = [link.to, ...(link.also ?? [])].some(within);
  return (
    <Go to={link.to} {...(here ? { "aria-current": "page" as const } : {})}>
      {link.label}
      {counted && counted.count > 0 && (
        <span className="count">
          {counted.count}
          <span className="visually-hidden"> {counted.what}</span>
        </span>
      )}
    </Go>
  );
}

function Person() {
  const me = useQuery(meQuery);
  const signOut = useSignOut();
  const live = useLiveUp();
  return (
    <div className="person stack tight">
      <ThemeSwitch />
      <p className="hint">
        Signed in as <strong className="break">{me.data?.user.username ?? "…"}</strong>
      </p>
      <p className="hint live" data-up={live || undefined}>
        {live ? "Changes appear at once" : "Asking for changes every few seconds"}
      </p>
      <div>
        <Button small onPress={() => signOut.mutate()}>
          Sign out
        </Button>
      </div>
    </div>
  );
}

const WORDS: Record<Theme, string> = { system: "As the system", light: "Light", dark: "Dark" };

function ThemeSwitch() {
  const [theme, choose] = useTheme();
  return <Choice label="Theme" value={theme} onChange={(next) => choose(next as Theme)} options={THEMES.map((one) => [one, WORDS[one]] as const)} />;
}
