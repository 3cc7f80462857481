// Who began an operation. A node's name is its id: it is shown in short.
import type { Operation } from "../../api/types";
import { Id, Name } from "../../ui/kit";

export function By({ of }: { of: Operation["initiator"] }) {
  if (of.kind === "node") {
    return (
      <>
        Node <Id of={of.id} />
      </>
    );
  }
  return <Name of={of.name || of.kind} />;
}
