// What both doors' route trees begin with: the sign-in page, the frame that only signed-in people see, and what a
// route may keep in its address.
import { createRootRoute, createRoute, redirect, type AnyRoute } from "@tanstack/react-router";
import { useEffect, useLayoutEffect, useState, type ReactNode } from "react";
import { AWAY, Problem } from "./api/http";
import { meQuery, returnTo } from "./api/me";
import { SignIn } from "./rooms/auth/SignIn";
import { client } from "./start";
import { Failed, Loading, Page } from "./ui/kit";
import { Shell, type NavGroup } from "./ui/Shell";

/** Search parameters as the text they are; anything else is dropped. */
export function textSearch<Name extends string>(...names: Name[]) {
  return (given: Record<string, unknown>): Partial<Record<Name, string>> => {
    const kept: Partial<Record<Name, string>> = {};
    for (const name of names) {
      const value = given[name];
      if (typeof value === "string" && value) kept[name] = value;
      else if (typeof value === "number") kept[name] = String(value);
    }
    return kept;
  };
}

/**
 * A page that is loaded when it is first gone to. Not the router's own: that loads the tab again when a part is missing,
 * and without a network nothing is left of the tab.
 */
export function later<P extends object>(load: () => Promise<(props: P) => ReactNode>): (props: P) => ReactNode {
  let page: ((props: P) => ReactNode) | undefined;
  const fetch = async () => {
    page ??= await load();
  };
  function Later(props: P) {
    const [, again] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (page || failed) return;
      fetch().then(
        () => again((count) => count + 1),
        () => setFailed(true),
      );
    });
    const Found = page;
    if (Found) return <Found {...props} />;
    return failed ? (
      <Page title="This page could not be loaded">
        <Failed error={new Problem(AWAY)} retry={() => setFailed(false)} />
      </Page>
    ) : (
      <Loading />
    );
  }
  // The router asks for it before it shows the page; what goes wrong then is shown by the page.
  Later.preload = () => fetch().catch(() => undefined);
  return Later;
}

/** An older address of a page. The search is handed on. */
export function moved(parent: { getParentRoute: () => AnyRoute }, path: string, to: (params: Record<string, string>, search: Record<string, string>) => string) {
  return createRoute({
    ...parent,
    path,
    validateSearch: (search: Record<string, unknown>) => search as Record<string, string>,
    beforeLoad: ({ params, search }: { params: Record<string, string>; search: Record<string, string> }) => {
      throw redirect({ href: to(params, search) });
    },
  } as never) as AnyRoute;
}

export function trunk(title: string, groups: NavGroup[], door: "console" | "operator") {
  const root = createRootRoute();
  const login = createRoute({
    getParentRoute: () => root,
    path: "/auth/login",
    validateSearch: textSearch("to", "return_to"),
    component: function Login() {
      const { to, return_to } = login.useSearch();
      const navigate = login.useNavigate();
      return <SignIn door={door} onIn={() => void navigate({ href: returnTo(to ?? return_to), replace: true } as never)} />;
    },
  });
  const guard = async ({ location }: { location: { href: string } }) => {
    try {
      await client.ensureQueryData(meQuery);
    } catch {
      throw redirect({ to: "/auth/login", search: { to: location.href } as never });
    }
  };
  const inside = createRoute({
    getParentRoute: () => root,
    id: "inside",
    beforeLoad: guard,
    component: () => <Shell groups={groups} title={title} />,
  });
  return { root, login, inside, guard };
}

const Profile = later(async () => (await import("./rooms/account/Profile")).Profile);
const Security = later(async () => (await import("./rooms/account/Security")).Security);
const Sessions = later(async () => (await import("./rooms/account/Sessions")).Sessions);

/** The pages of one's own account, the same at both doors. `scripts`: whether the door has keys for scripts. */
export function accountRoutes(parent: { getParentRoute: () => AnyRoute }, scripts: boolean): AnyRoute[] {
  return [
    moved(parent, "/account", () => "/account/profile"),
    moved(parent, "/settings/profile", () => "/account/profile"),
    createRoute({ ...parent, path: "/account/profile", component: Profile } as never) as AnyRoute,
    createRoute({ ...parent, path: "/account/security", component: () => <Security scripts={scripts} /> } as never) as AnyRoute,
    createRoute({ ...parent, path: "/account/sessions", component: Sessions } as never) as AnyRoute,
  ];
}

/** A page without the frame: a window of its own. */
export function Bare({ children }: { children: ReactNode }) {
  useLayoutEffect(() => {
    document.body.classList.add("alone");
    return () => document.body.classList.remove("alone");
  }, []);
  return <main className="bare">{children}</main>;
}
