// Name and labels of a node. The door takes the change only for the version that was read.
import { useState } from "react";
import { at } from "../../api/at";
import type { Node } from "../../api/types";
import { Area, Button, Dialog, Failed, Field, useAct } from "../../ui/kit";
import { labelsOf, linesOf } from "../labels";

export function EditNode({ of, blocked, onDone }: { of: Node; blocked: string | undefined; onDone: () => void }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState(of.name);
  const [labels, setLabels] = useState("");
  const [version, setVersion] = useState(of.version);
  const save = useAct<Node>(() => {
    setOpen(false);
    onDone();
  });
  const show = () => {
    setName(of.name);
    setLabels(linesOf(of.labels));
    setVersion(of.version);
    save.reset();
    setOpen(true);
  };
  const parsed = labelsOf(labels);
  return (
    <>
      <Button small blocked={blocked} onPress={show}>
        Name and labels
      </Button>
      <Dialog title={`Name and labels of ${of.name}`} isOpen={open} onClose={() => setOpen(false)}>
        <Field label="Name" value={name} maxLength={63} onChange={(event) => setName(event.target.value)} />
        <Area
          label="Labels"
          value={labels}
          rows={5}
          hint="One a line: rack=r12"
          error={parsed ? undefined : "Each line is a key, an equals sign and a value."}
          onChange={(event) => setLabels(event.target.value)}
        />
        {save.error && <Failed error={save.error} />}
        <div className="row end">
          <Button onPress={() => setOpen(false)}>Cancel</Button>
          <Button
            look="primary"
            isDisabled={!parsed || name.trim() === ""}
            isPending={save.isPending}
            onPress={() =>
              save.mutate({
                path: at("/api/v1/admin/nodes/{node_id}", { node_id: of.id }),
                method: "PATCH",
                body: { name: name.trim(), labels: parsed },
                ifMatch: `"${version}"`,
              })
            }
          >
            Save
          </Button>
        </div>
      </Dialog>
    </>
  );
}
