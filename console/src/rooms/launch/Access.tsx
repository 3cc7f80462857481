// What runs and how one gets in.
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import type { SshKey } from "../../api/types";
import { Area, Field } from "../../ui/Field";
import { Loaded, Notice } from "../../ui/kit";
import { AddKey } from "../keys/AddKey";
import type { Draft } from "./draft";

export function Access({
  draft,
  change,
  keys,
}: {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  keys: UseInfiniteQueryResult<SshKey[]>;
}) {
  return (
    <div className="stack narrow">
      <Field label="Name (optional)" value={draft.name} maxLength={63} onChange={(event) => change({ name: event.target.value })} />
      <Area
        label="Command (optional)"
        value={draft.command}
        spellCheck={false}
        onChange={(event) => change({ command: event.target.value })}
        hint="Run by sh. Without one the workload waits for you until it is released."
      />
      {draft.command.trim() && (
        <label className="check">
          <input type="checkbox" checked={draft.releaseOnExit} onChange={(event) => change({ releaseOnExit: event.target.checked })} />
          Release the hardware when the command ends
        </label>
      )}
      <label className="check">
        <input type="checkbox" checked={draft.ssh} onChange={(event) => change({ ssh: event.target.checked })} />
        Let my SSH keys in
      </label>
      {draft.ssh && (
        <Loaded query={keys} lines={2}>
          {(all) =>
            all.length > 0 ? (
              <p className="hint">Keys that open it: {all.map((key) => key.name).join(", ")}.</p>
            ) : (
              <div className="card stack">
                <Notice title="You have no SSH key yet">
                  <p>Add one here. The terminal in the browser works without.</p>
                </Notice>
                <AddKey />
              </div>
            )
          }
        </Loaded>
      )}
    </div>
  );
}
