// One allocation in full, over the list. Escape closes it and gives the focus back.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { Accepted, Allocation } from "../../api/types";
import { Ago, AskFirst, Button, CopyButton, Dialog, Facts, Field, Go, Loaded, Notice, State, sayPerHour, useGo } from "../../ui/kit";
import { RunLink, evidencePath, nodePath, runPath, userPath } from "../paths";

const OVER = ["released", "failed"];

export function Drawer({ id, onClose }: { id: string; onClose: () => void }) {
  const one = useQuery(oneQuery<Allocation>(at("/api/v1/admin/allocations/{id}", { id }), 3000));
  return (
    <Dialog title={one.data?.name ?? "Allocation"} isOpen onClose={onClose}>
      <Loaded query={one}>{(it) => <Whole of={it} />}</Loaded>
      <div className="row end">
        <Button onPress={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

function Whole({ of }: { of: Allocation }) {
  return (
    <>
      <div className="row" role="status">
        <State of={of.display_status} />
        {of.step && !OVER.includes(of.state) && <span className="hint">{of.step}</span>}
      </div>
      {of.failure_reason && (
        <Notice tone="bad" title={of.failure_reason.detail || of.failure_reason.code}>
          {of.failure_reason.correlation_id && (
            <p className="hint">
              Reference <code>{of.failure_reason.correlation_id}</code> <CopyButton text={of.failure_reason.correlation_id} what="the reference" />
            </p>
          )}
        </Notice>
      )}
      {of.release_failed_reason && <Notice tone="bad" title={of.release_failed_reason} />}
      {of.forced && (
        <Notice tone="warn" title={`Ended by ${of.forced.by}, an operator.`}>
          <p className="break">{of.forced.reason}</p>
          <p className="hint">
            <Ago at={of.forced.at} />
          </p>
        </Notice>
      )}
      <Facts
        of={[
          ["User", <Go key="user" to={userPath(of.user_id)}>{of.user_name ?? of.user_id}</Go>],
          ["Node", <Go key="node" to={nodePath(of.node_id, "slices")}>{of.node_name ?? of.node_id}</Go>],
          ["Hardware", of.sku],
          ["Price", of.price ? sayPerHour(of.price.minor_per_hour, of.price.currency) : "No price set"],
          ["Slots", of.slots.map((slot) => <div key={slot.id}><code>{slot.id}</code> {slot.profile ?? slot.kind}</div>)],
          ["Isolation", of.isolation],
          ["Not enforced", of.not_enforced.join(", ")],
          ["Created", <Ago key="created" at={of.created_at} />],
          ["Active since", of.active_at && <Ago key="active" at={of.active_at} />],
          ["Ended", of.ended_at && <Ago key="ended" at={of.ended_at} />],
          ["Exit code", of.exit_code],
          ["Launch", <RunLink key="launch" of={of.operation_id} />],
          ["Release", of.release_operation_id && <RunLink key="release" of={of.release_operation_id} />],
          ["Cleanup receipt", of.receipt ? <pre key="receipt" className="break">{JSON.stringify(of.receipt, null, 2)}</pre> : null],
          ["Evidence", <Go key="evidence" to={evidencePath({ target: of.id })}>Audit log</Go>],
          ["Id", <span key="id"><code className="break">{of.id}</code> <CopyButton text={of.id} what="the id" /></span>],
        ]}
      />
      <Force of={of} />
    </>
  );
}

function Force({ of }: { of: Allocation }) {
  const go = useGo();
  const [reason, setReason] = useState("");
  const [lost, setLost] = useState(false);
  const blocked = OVER.includes(of.state) ? "It has ended." : of.state === "releasing" ? "It is being released; force it only if its node is lost." : undefined;
  const only = of.state === "releasing" || of.state === "release_failed";
  return (
    <AskFirst<Accepted>
      word="Force-release"
      danger
      title={`End ${of.name} by force?`}
      blocked={only ? undefined : blocked}
      ready={reason.trim() !== "" && (!only || lost)}
      act={{ path: at("/api/v1/admin/allocations/{id}", { id: of.id }) + "/force-release", body: { reason: reason.trim(), node_lost: lost } }}
      onDone={(said) => go(runPath(said.operation_id))}
    >
      <p>Its programs are ended and its disk is deleted, whatever its owner is doing. {of.user_name ?? "The owner"} sees your name and the reason.</p>
      <Field label="Reason" required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} hint="Shown to the owner and kept in the audit log." />
      <label className="check">
        <input type="checkbox" checked={lost} onChange={(event) => setLost(event.target.checked)} />
        The node is lost: wait for no proof, and hold its slots back
      </label>
      {only && !lost && <p className="hint">Its release has begun. It can only be forced further if the node will not come back.</p>}
    </AskFirst>
  );
}
