// Who is signed in: one query that the whole shell hangs on.
import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ask, setCsrf, whenSignedOut } from "./http";
import type { Me } from "./types";

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async ({ signal }) => {
    const me = await ask<Me>("/api/v1/me", { signal });
    setCsrf(me.csrf_token ?? undefined);
    return me;
  },
  staleTime: 60_000,
  retry: false,
});

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (given: { username: string; password: string }) => {
      const session = await ask<{ csrf_token?: string }>("/api/v1/auth/personal/login", {
        method: "POST",
        body: { ...given, session: "cookie" },
      });
      setCsrf(session.csrf_token);
    },
    onSuccess: () => client.fetchQuery({ ...meQuery, staleTime: 0 }),
  });
}

export function useSignOut() {
  return useMutation({
    // Whoever leaves need not be asked to sign in again for what the page still asks.
    onMutate: () => whenSignedOut(() => {}),
    mutationFn: () => ask("/api/v1/auth/logout", { method: "POST", body: {} }),
    // Whatever the door said, nothing of the session stays in this tab.
    onSettled: () => {
      setCsrf(undefined);
      window.location.assign("/auth/login");
    },
  });
}

/** Where to go after sign-in: a path of this origin, never another site. */
export function returnTo(wanted: string | null | undefined): string {
  if (!wanted || !wanted.startsWith("/") || wanted.startsWith("//") || wanted.startsWith("/\\")) return "/";
  const url = new URL(wanted, window.location.origin);
  return url.origin === window.location.origin ? url.pathname + url.search + url.hash : "/";
}

/** Why the person may not do a verb at this door; undefined when they may, or while that is not known. */
export function useMayNot(verb: string): string | undefined {
  const me = useQuery(meQuery);
  return me.data && !me.data.capabilities.includes(verb) ? "Your role does not allow this." : undefined;
}
