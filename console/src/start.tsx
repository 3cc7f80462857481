// Puts a door's pages on the screen.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider, createRouter, type AnyRoute } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem, whenSignedOut } from "./api/http";
import { startTheme } from "./ui/theme";
import "./ui/index.css";
import { Failed, Loading, Page } from "./ui/kit";
import { Ways, setWays } from "./ui/Ways";

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1000,
      // What the door said will not change by asking again; one that is away may be back at once. That it is away is
      // said soon: whoever reads on believes what stands there.
      retry: (count, error) => !(error instanceof Problem && error.body.status > 0 && error.body.status < 500) && count < 2,
      retryDelay: 500,
    },
  },
});

/** `ways`: where to go from an address that leads nowhere. */
export function start(routeTree: AnyRoute, ways: Parameters<typeof setWays>[0]): void {
  startTheme();
  setWays(ways);
  const router = createRouter({
    routeTree,
    context: { client },
    scrollRestoration: true,
    defaultPendingComponent: () => <Loading />,
    defaultErrorComponent: ({ error, reset }) => (
      <Page title="This page failed">
        <Failed error={error} retry={reset} />
      </Page>
    ),
    defaultNotFoundComponent: () => (
      <main className="door">
        <div className="card stack">
          <Page title="There is no such page">
            <p>The address names nothing here. It may be mistyped, or what it named is gone.</p>
            <div className="row">
              <Ways />
            </div>
          </Page>
        </div>
      </main>
    ),
  });
  whenSignedOut(() => {
    const { pathname, href } = router.state.location;
    if (pathname.startsWith("/auth/")) return;
    client.removeQueries({ queryKey: ["me"] });
    void router.navigate({ to: "/auth/login", search: { to: href } as never });
  });
  // A page out of the browser's own cache may be somebody else's by now.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  const root = document.getElementById("root");
  if (!root) return;
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
