// The request in words, before it is sent; each part leads back to its step.
import type { ReactNode } from "react";
import type { Precheck, SshKey } from "../../api/types";
import { Button, Facts, sayPerHour } from "../../ui/kit";
import type { Draft } from "./draft";
import { STEPS } from "./Launch";

export function Review({
  draft,
  keys,
  estimate,
  onEdit,
}: {
  draft: Draft;
  keys: SshKey[];
  /** Undefined while it is not known. */
  estimate: Precheck["estimate"] | undefined;
  onEdit: (step: number) => void;
}) {
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
      <section className="review" aria-label="Cost">
        <Facts of={[["Cost", costOf(estimate, draft.count)]]} />
      </section>
    </div>
  );
}

function costOf(estimate: Precheck["estimate"] | undefined, count: number): ReactNode {
  if (estimate === undefined) return "Not known yet";
  if (estimate === null) return "No price set";
  const { currency, hourly_minor } = estimate;
  return (
    <>
      <strong className="price">{sayPerHour(hourly_minor, currency)}</strong>
      <p className="hint">{count > 1 ? `${count} × ${sayPerHour(hourly_minor / count, currency)}. ` : ""}It stays at this price until it ends.</p>
    </>
  );
}
