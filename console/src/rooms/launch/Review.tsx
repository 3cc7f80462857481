// The request in words, before it is sent; each part leads back to its step.
import type { ReactNode } from "react";
import type { SshKey } from "../../api/types";
import { Button, Facts } from "../../ui/kit";
import type { Draft } from "./draft";
import { STEPS } from "./Launch";

export function Review({ draft, keys, onEdit }: { draft: Draft; keys: SshKey[]; onEdit: (step: number) => void }) {
  const command = draft.command.trim();
  const chosen = keys.filter((key) => draft.keys.includes(key.id)).map((key) => key.name);
  const parts: [step: number, facts: [string, ReactNode][]][] = [
    [0, [["Product", draft.sku]]],
    [1, [["How many", draft.count], ["Name", draft.name.trim() || "given by Muster"]]],
    [
      2,
      [
        ["Image", draft.image],
        ["Command", command ? <code key="command" className="break">{command}</code> : "Interactive: runs until you release it"],
        ["When the command ends", command && (draft.releaseOnExit ? "The hardware is released" : "The workload stays until you release it")],
        ["Longest run", command && draft.hours && `${draft.hours} h`],
        ["Environment", draft.env.trim() && <code key="env" className="break">{draft.env.replace(/=.*/g, "").trim().split("\n").join(", ")}</code>],
      ],
    ],
    [4, [["SSH", draft.access === "none" ? "No SSH" : draft.access === "all" ? `All ${keys.length} of your keys` : chosen.join(", ") || "No key chosen"]]],
  ];
  return (
    <div className="card stack narrow">
      {parts.map(([step, facts]) => (
        <section key={step} className="review" aria-label={STEPS[step] ?? ""}>
          <Facts of={facts} />
          <Button small look="plain" aria-label={`Change ${STEPS[step]}`} onPress={() => onEdit(step)}>
            Change
          </Button>
        </section>
      ))}
    </div>
  );
}
