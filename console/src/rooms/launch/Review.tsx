// The request in words, before it is sent.
import { Facts } from "../../ui/parts";
import type { Draft } from "./draft";

export function Review({ draft }: { draft: Draft }) {
  const command = draft.command.trim();
  return (
    <div className="card">
      <Facts
        of={[
          ["Hardware", draft.sku],
          ["Name", draft.name.trim() || "given by Muster"],
          ["Command", command ? <code key="command" className="break">{command}</code> : "Interactive: runs until you release it"],
          ["When the command ends", command && (draft.releaseOnExit ? "The hardware is released" : "The workload stays until you release it")],
          ["SSH", draft.ssh ? "With all your keys" : "No SSH"],
        ]}
      />
    </div>
  );
}
