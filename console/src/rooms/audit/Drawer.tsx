// One event in full: every id with a way to copy it, what was before and after, and where to go on.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { AuditEvent } from "../../api/types";
import { Button, CopyButton, Dialog, Facts, Go, Loaded, State, When } from "../../ui/kit";
import { allocationPath, evidencePath, nodePath, runPath, userPath } from "../paths";

export function Drawer({ id, onClose }: { id: string; onClose: () => void }) {
  const one = useQuery(oneQuery<AuditEvent>(at("/api/v1/admin/audit-logs/{id}", { id })));
  return (
    <Dialog title={one.data?.action ?? "Event"} isOpen onClose={onClose}>
      <Loaded query={one}>{(it) => <Whole of={it} />}</Loaded>
      <div className="row end">
        <Button autoFocus onPress={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}

function Full({ of, what }: { of: string; what: string }) {
  return (
    <span className="full">
      <code>{of}</code> <CopyButton text={of} what={what} />
    </span>
  );
}

/** The page of what an id names, if it has one. */
function pageOf(id: string): string | undefined {
  const pages: Record<string, (id: string) => string> = { nd: nodePath, al: allocationPath, us: userPath, op: runPath };
  return pages[id.split("_")[0] ?? ""]?.(id);
}

function Whole({ of }: { of: AuditEvent }) {
  const target = pageOf(of.target);
  return (
    <>
      <div className="row">
        <State of={of.outcome} />
        <When at={of.at} />
      </div>
      <Facts
        of={[
          ["Who", `${of.actor.name || of.actor.kind} (${of.actor.kind})`],
          ["Their id", of.actor.id && <Full key="actor" of={of.actor.id} what="the id of who did it" />],
          ["To", <Full key="target" of={of.target} what="the id of the target" />],
          ["Because", of.reason],
          ["Tenant", of.tenant_id && <Full key="tenant" of={of.tenant_id} what="the id of the tenant" />],
          ["Project", of.project_id && <Full key="project" of={of.project_id} what="the id of the project" />],
          ["From", of.source_ip],
          ["Exactly", <time key="at" dateTime={of.at}>{of.at}</time>],
          ["Request", <Full key="request" of={of.correlation_id} what="the id of the request" />],
          ["Event", <Full key="event" of={of.id} what="the id of the event" />],
          ["Place in the chain", of.seq ?? "not sealed yet"],
          ["Hash", of.hash && <Full key="hash" of={of.hash} what="the hash" />],
        ]}
      />
      <Document title="Before" of={of.before} />
      <Document title="After" of={of.after} />
      <div className="row">
        {target && <Go to={target}>Open the target</Go>}
        <Go to={evidencePath({ correlation_id: of.correlation_id })}>Same request</Go>
        <Go to={evidencePath({ target: of.target })}>Same target</Go>
        {of.actor.id && <Go to={evidencePath({ actor: of.actor.id })}>Same actor</Go>}
      </div>
    </>
  );
}

function Document({ title, of }: { title: string; of: unknown }) {
  if (of === null || of === undefined) return null;
  return (
    <section className="stack tight">
      <h3>{title}</h3>
      <pre className="break">{JSON.stringify(of, null, 2)}</pre>
    </section>
  );
}
