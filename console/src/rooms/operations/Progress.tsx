// An operation while it runs, where it was begun: its steps as they are, how it ended, and its run.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { Operation } from "../../api/types";
import { Button, CopyButton, Failed, Loading, State } from "../../ui/kit";
import { RunLink } from "../paths";
import { Steps } from "../tasks/Steps";

export function Progress({ of, onDismiss }: { of: string; onDismiss?: (() => void) | undefined }) {
  const run = useQuery({
    ...oneQuery<Operation>(at("/api/v1/operations/{id}", { id: of })),
    refetchInterval: (query) => (query.state.data?.ended_at ? false : 700),
  });
  const it = run.data;
  return (
    <section className="notice busy" aria-label={it?.kind ?? "Operation"}>
      {!it && (run.error ? <Failed error={run.error} /> : <Loading lines={1} />)}
      {it && (
        <>
          <div className="row apart">
            <div className="row" aria-live="polite">
              <strong>{it.kind}</strong>
              <State of={it.outcome ?? it.state} />
              <RunLink of={it.id} />
            </div>
            {it.ended_at && onDismiss && (
              <Button small look="plain" onPress={onDismiss}>
                Dismiss
              </Button>
            )}
          </div>
          <Steps of={it} />
          {it.failure && (
            <p className="error-text">
              {it.failure.detail || it.failure.code} Reference <code>{it.correlation_id}</code>{" "}
              <CopyButton text={it.correlation_id} what="the reference" />
            </p>
          )}
        </>
      )}
    </section>
  );
}
