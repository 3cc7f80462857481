// Labels of a workload: each leads to all that carry it; the whole set is changed for the version that was read.
import { useState } from "react";
import { at } from "../../api/at";
import { useMayNot } from "../../api/me";
import type { Allocation } from "../../api/types";
import { Area, Button, Dialog, Failed, Go, say, useAct } from "../../ui/kit";
import { labelsOf, linesOf } from "../labels";

export function Labels({ of }: { of: Allocation }) {
  const [read, setRead] = useState<Allocation>();
  const [text, setText] = useState("");
  const close = () => setRead(undefined);
  const save = useAct<Allocation>((saved) => {
    close();
    say(`The labels of ${saved.name} are changed.`);
  });
  const begin = () => {
    save.reset();
    setText(linesOf(of.labels));
    setRead(of);
  };
  const labels = labelsOf(text);
  return (
    <div className="row tight">
      <Chips of={of.labels} />
      <Button small blocked={useMayNot("allocations.update")} onPress={begin}>
        Change labels
      </Button>
      <Dialog title={`Labels of ${of.name}`} isOpen={read !== undefined} onClose={close}>
        <Area
          label="Labels"
          rows={5}
          value={text}
          autoFocus
          hint="One a line: team=vision"
          error={labels ? undefined : "Each line is a name, an equals sign and a value."}
          onChange={(event) => setText(event.target.value)}
        />
        {save.error && <Failed error={save.error} />}
        <div className="row end">
          <Button onPress={close}>Cancel</Button>
          <Button
            look="primary"
            isDisabled={!labels}
            isPending={save.isPending}
            onPress={() => read && save.mutate({ path: at("/api/v1/allocations/{id}", { id: read.id }), method: "PATCH", body: { labels }, ifMatch: `"${read.version}"` })}
          >
            Save
          </Button>
        </div>
      </Dialog>
    </div>
  );
}

/** Labels as links to all that carry them. */
export function Chips({ of }: { of: Allocation["labels"] }) {
  const all = Object.entries(of);
  if (all.length === 0) return <span>none</span>;
  return (
    <>
      {all.map(([name, value]) => (
        <Go key={name} className="chip" to={`/workloads?${new URLSearchParams({ view: "all", label: `${name}=${value}` }).toString()}`}>
          {name}={value}
        </Go>
      ))}
    </>
  );
}
