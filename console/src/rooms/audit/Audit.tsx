// Who did what, newest first, by filters that stand in the address; and whether the chain holds.
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/http";
import { listQuery } from "../../api/lists";
import type { AuditEvent, Chain } from "../../api/types";
import { Button, type Column, Dialog, Empty, Facts, Failed, Field, Notice, Page, PagedTable, State } from "../../ui/kit";

export interface Filters {
  action?: string;
  target?: string;
  outcome?: string;
}

export function Audit({ filters, onFilters }: { filters: Filters; onFilters: (filters: Filters) => void }) {
  const list = useInfiniteQuery(listQuery<AuditEvent>("/api/v1/admin/audit-logs", { ...filters }, 5000));
  const [open, setOpen] = useState<AuditEvent>();
  const verify = useMutation({ mutationFn: () => ask<Chain>("/api/v1/admin/audit-logs/verify") });
  const columns: Column<AuditEvent>[] = [
    { head: "When", cell: (one) => <time dateTime={one.at}>{new Date(one.at).toLocaleString()}</time> },
    { head: "Who", cell: (one) => one.actor.name || one.actor.kind },
    { head: "Did", cell: (one) => one.action },
    { head: "To", cell: (one) => <code>{one.target}</code> },
    { head: "Outcome", cell: (one) => <State of={one.outcome} /> },
    {
      head: "More",
      cell: (one) => (
        <Button small aria-label={`Show ${one.action} of ${one.target}`} onPress={() => setOpen(one)}>
          Show
        </Button>
      ),
    },
  ];
  const set = (name: keyof Filters) => (value: string) => {
    const { [name]: _, ...others } = filters;
    onFilters(value ? { ...others, [name]: value } : others);
  };
  return (
    <Page
      title="Audit log"
      aside={
        <Button isPending={verify.isPending} onPress={() => verify.mutate()}>
          Verify the chain
        </Button>
      }
    >
      {verify.error && <Failed error={verify.error} />}
      {verify.data && (
        <Notice
          tone={verify.data.ok ? "good" : "bad"}
          title={verify.data.ok ? `The chain holds: ${verify.data.checked} events checked.` : `The chain is broken at ${verify.data.broken_at}.`}
        />
      )}
      <div className="filters">
        <Late label="Action" value={filters.action ?? ""} onSet={set("action")} />
        <Late label="Target" value={filters.target ?? ""} onSet={set("target")} />
      </div>
      <PagedTable query={list} label="Audit log" columns={columns} id={(one) => one.id} empty={<Empty title="No event is like that" />} />
      <Dialog title={open?.action ?? ""} isOpen={open !== undefined} onClose={() => setOpen(undefined)}>
        {open && (
          <>
            <Facts
              of={[
                ["When", new Date(open.at).toLocaleString()],
                ["Who", `${open.actor.name} (${open.actor.kind})`],
                ["To", <code key="target">{open.target}</code>],
                ["Outcome", open.outcome],
                ["Reason", open.reason],
                ["From", open.source_ip],
                ["Reference", <code key="reference">{open.correlation_id}</code>],
              ]}
            />
            {open.before && <pre className="break">{JSON.stringify(open.before, null, 2)}</pre>}
            {open.after && <pre className="break">{JSON.stringify(open.after, null, 2)}</pre>}
            <div>
              <Button onPress={() => setOpen(undefined)}>Close</Button>
            </div>
          </>
        )}
      </Dialog>
    </Page>
  );
}

/** A filter that is used when the person leaves the field or presses Enter. */
function Late({ label, value, onSet }: { label: string; value: string; onSet: (value: string) => void }) {
  const [text, setText] = useState(value);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSet(text.trim());
      }}
    >
      <Field label={label} value={text} onChange={(event) => setText(event.target.value)} onBlur={() => text.trim() !== value && onSet(text.trim())} />
    </form>
  );
}
