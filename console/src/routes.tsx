// What both doors' route trees begin with: the sign-in page, and the frame that only signed-in people see.
import { createRootRoute, createRoute, redirect } from "@tanstack/react-router";
import { meQuery, returnTo } from "./api/me";
import { SignIn } from "./rooms/auth/SignIn";
import { client } from "./start";
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

export function trunk(title: string, groups: NavGroup[], door: "console" | "operator") {
  const root = createRootRoute();
  const login = createRoute({
    getParentRoute: () => root,
    path: "/auth/login",
    validateSearch: textSearch("to"),
    component: function Login() {
      const { to } = login.useSearch();
      const navigate = login.useNavigate();
      return <SignIn door={door} onIn={() => void navigate({ href: returnTo(to) } as never)} />;
    },
  });
  const inside = createRoute({
    getParentRoute: () => root,
    id: "inside",
    beforeLoad: async ({ location }) => {
      try {
        await client.ensureQueryData(meQuery);
      } catch {
        throw redirect({ to: "/auth/login", search: { to: location.href } as never });
      }
    },
    component: () => <Shell groups={groups} title={title} />,
  });
  return { root, login, inside };
}
