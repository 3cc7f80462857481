// The two places of a terminal: the page of a workload, and a window of its own.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { Button, Empty, Failed, GoButton, Loading, Page } from "../../ui/kit";
import { Terminal } from "./Terminal";

export function TerminalPage({ id, alone }: { id: string; alone?: boolean }) {
  const one = useQuery(oneQuery(at("/api/v1/allocations/{id}", { id }), 5000));
  const title = one.data ? `Terminal of ${one.data.name}` : "Terminal";
  if (!one.data) {
    return <Page title={title}>{one.error ? <Failed error={one.error} retry={() => void one.refetch()} /> : <Loading />}</Page>;
  }
  const back = `/workloads/${id}`;
  const ended = ["released", "failed", "releasing"].includes(one.data.state);
  const tools = alone ? (
    <Button small onPress={() => window.close()}>
      Close the window
    </Button>
  ) : (
    <Button small onPress={() => popOut(id)}>
      Own window
    </Button>
  );
  return (
    <Page
      title={title}
      crumbs={[
        ["/workloads", "Workloads"],
        [back, one.data.name],
      ]}
      aside={
        <GoButton small to={back}>
          Back to the workload
        </GoButton>
      }
    >
      {ended && (
        <Empty title="This workload is over">
          <p>Its terminals are closed. Launch another to get a shell again.</p>
          <GoButton look="primary" to={`/launch/compute?from=${id}`}>
            Launch a copy
          </GoButton>
        </Empty>
      )}
      {!ended && <Terminal key={id} id={id} tools={tools} />}
    </Page>
  );
}

/** A window of its own takes the session over; this page can take it back. */
function popOut(id: string): void {
  window.open(`/terminal/popout?workload=${id}`, `terminal-${id}`, "popup,width=960,height=640");
}
