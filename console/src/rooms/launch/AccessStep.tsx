// Who may log in by SSH.
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import { Radio, RadioGroup } from "react-aria-components";
import type { SshKey } from "../../api/types";
import { Loaded, Notice } from "../../ui/kit";
import { AddKey } from "../keys/AddKey";
import type { Draft } from "./draft";
import type { StepProps } from "./step";

const WAYS: readonly (readonly [Draft["access"], string, string])[] = [
  ["all", "All my SSH keys", "Those you have now."],
  ["chosen", "Only some of my keys", "Choose them below."],
  ["none", "No SSH", "The terminal in the browser works all the same."],
];

export function AccessStep({ draft, change, keys }: StepProps & { keys: UseInfiniteQueryResult<SshKey[]> }) {
  const switched = (id: string, on: boolean) => change({ keys: on ? [...draft.keys, id] : draft.keys.filter((one) => one !== id) });
  return (
    <div className="stack narrow">
      <RadioGroup className="stack tight" aria-label="SSH" value={draft.access} onChange={(access) => change({ access: access as Draft["access"] })}>
        {WAYS.map(([id, word, hint]) => (
          <Radio key={id} value={id} className="choice">
            <strong>{word}</strong>
            <span className="hint">{hint}</span>
          </Radio>
        ))}
      </RadioGroup>
      {draft.access !== "none" && (
        <Loaded query={keys} lines={2}>
          {(all) => (
            <>
              {all.length === 0 && (
                <Notice title="You have no SSH key yet">
                  <p>Add one here, or go without: the terminal in the browser needs none.</p>
                </Notice>
              )}
              {draft.access === "all" && all.length > 0 && <p className="hint">Keys that open it: {all.map((key) => key.name).join(", ")}.</p>}
              {draft.access === "chosen" &&
                all.map((key) => (
                  <label key={key.id} className="check">
                    <input type="checkbox" checked={draft.keys.includes(key.id)} onChange={(event) => switched(key.id, event.target.checked)} />
                    <span className="break">{key.name}</span>
                  </label>
                ))}
              <details open={all.length === 0}>
                <summary>Add a key</summary>
                <div className="card">
                  <AddKey onAdded={(key) => draft.access === "chosen" && change({ keys: [...draft.keys, key.id] })} />
                </div>
              </details>
            </>
          )}
        </Loaded>
      )}
    </div>
  );
}
