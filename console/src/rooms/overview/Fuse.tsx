// The fuse against mass failure, while it is blown: what that means, and how to go on. Intact, it shows nothing.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { unlessHeld } from "../../api/live";
import { useMayNot } from "../../api/me";
import type { Fuse as State } from "../../api/types";
import { Ago, AskFirst, Field, Go, GoButton, Notice } from "../../ui/kit";
import { LIFECYCLE, evidencePath } from "../paths";

export function Fuse({ every }: { every: number | false }) {
  const fuse = useQuery({ ...oneQuery(at("/api/v1/admin/fuse")), refetchInterval: every, enabled: unlessHeld(every === false) });
  return fuse.data?.state === "blown" ? <Blown of={fuse.data} /> : null;
}

function Blown({ of }: { of: State }) {
  const [reason, setReason] = useState("");
  const gone = of.missing.length;
  return (
    <Notice tone="bad" title={`The fuse is blown: ${of.nodes.length} nodes were lost together.`}>
      <p>
        Since <Ago at={of.blown_at} />. So many at once have one cause: a switch, a power feed, the network of the coordinator. Until the fuse is reset no allocation is failed for its lost
        node, and no node can be given up. What runs there runs on.
      </p>
      <p>{gone === 0 ? "All of them are back; it resets itself when they stay for a minute." : `${gone} of them ${gone === 1 ? "is" : "are"} still offline. Find the cause; the fuse resets itself when most are back for a minute.`}</p>
      <div className="row">
        <GoButton small to={`${LIFECYCLE}?state=offline`}>
          See the offline nodes
        </GoButton>
        <Go to={evidencePath({ target: "fuse" })}>Its history</Go>
        <AskFirst
          word="Reset the fuse"
          small
          danger
          title="Reset the fuse?"
          blocked={useMayNot("fuse.reset")}
          ready={reason.trim() !== ""}
          act={{ path: at("/api/v1/admin/fuse/reset"), body: { reason: reason.trim() } }}
        >
          <p>Do it when the cause is known and what is gone will not come back: from then on lost nodes are treated as lost, and allocations on them may be failed.</p>
          <Field label="Reason" required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} hint="Kept in the audit log." />
        </AskFirst>
      </div>
    </Notice>
  );
}
