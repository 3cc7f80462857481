// Who may log in by SSH from now on: a running workload's keys, changed as a whole.
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import { useState } from "react";
import type { Allocation, SshKey } from "../../api/types";
import { Button, Dialog, Failed, Loaded, say, useAct } from "../../ui/kit";
import { AddKey } from "../keys/AddKey";

export function KeysOf({ of, keys }: { of: Allocation; keys: UseInfiniteQueryResult<SshKey[]> }) {
  const [open, setOpen] = useState(false);
  const [chosen, choose] = useState<readonly string[]>([]);
  const save = useAct(() => {
    setOpen(false);
    say("The new set of keys goes to the node at once, or as soon as it is reached.");
  });
  const begin = () => {
    choose(of.ssh_key_ids);
    save.reset();
    setOpen(true);
  };
  const switched = (id: string, on: boolean) => choose(on ? [...chosen, id] : chosen.filter((one) => one !== id));
  return (
    <div className="row">
      <span>
        {of.ssh_key_ids.length === 0 ? "No key opens it." : of.ssh_key_ids.length === 1 ? "One key opens it." : `${of.ssh_key_ids.length} keys open it.`}
      </span>
      <Button small onPress={begin}>
        Change keys
      </Button>
      <Dialog title={`Who may log in to ${of.name}`} isOpen={open} onClose={() => setOpen(false)}>
        <p className="hint">Connections that are open stay open; new ones need a key of this set.</p>
        <Loaded query={keys} lines={2}>
          {(all) => (
            <div className="stack tight">
              {all.map((key) => (
                <label key={key.id} className="check">
                  <input type="checkbox" checked={chosen.includes(key.id)} onChange={(event) => switched(key.id, event.target.checked)} />
                  <span className="break">
                    {key.name} <code>{key.fingerprint.slice(0, 20)}…</code>
                  </span>
                </label>
              ))}
              {all.length === 0 && <AddKey onAdded={(key) => choose([...chosen, key.id])} />}
            </div>
          )}
        </Loaded>
        {save.error && <Failed error={save.error} />}
        <div className="row end">
          <Button onPress={() => setOpen(false)}>Cancel</Button>
          <Button
            look="primary"
            isPending={save.isPending}
            onPress={() => save.mutate({ path: `/api/v1/allocations/${of.id}/ssh-keys`, method: "PUT", body: { ssh_key_ids: chosen } })}
          >
            Save
          </Button>
        </div>
      </Dialog>
    </div>
  );
}
