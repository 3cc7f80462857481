// What a node offers: each slot with its holds, and who may have it.
import { useQuery } from "@tanstack/react-query";
import { oneQuery } from "../../api/lists";
import type { Paged, Slot } from "../../api/types";
import { AskFirst, Empty, Id, Loaded, State, Table } from "../../ui/kit";

export function Slots({ node }: { node: string }) {
  const list = useQuery(oneQuery<Paged<Slot>>(`/api/v1/admin/nodes/${node}/slots`, 3000));
  const at = (slot: Slot, act: string) => ({ path: `/api/v1/admin/nodes/${node}/slots/${slot.id}/${act}` });
  return (
    <Loaded query={list}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title="Nothing was found to offer" />
        ) : (
          <Table
            label="Slots"
            rows={items}
            id={(slot) => slot.id}
            columns={[
              { head: "Slot", cell: (slot) => <Id of={slot.id} /> },
              { head: "What", cell: (slot) => (slot.kind === "mig" ? `Slice ${slot.profile ?? ""}` : slot.kind === "cpu" ? "CPU" : "Whole GPU") },
              { head: "GPU", cell: (slot) => (slot.gpu_uuid ? <Id of={slot.gpu_uuid} /> : "none") },
              { head: "State", cell: (slot) => <State of={slot.present ? slot.state : "offline"} /> },
              { head: "Held back", cell: (slot) => slot.holds.map((hold) => hold.reason || hold.code).join("; ") || "no" },
              { head: "Allocation", cell: (slot) => (slot.allocation_id ? <Id of={slot.allocation_id} /> : "none") },
              {
                head: "Actions",
                cell: (slot) => (
                  <span className="row">
                    {(slot.state === "discovered" || slot.state === "rejected") && (
                      <AskFirst word="Approve" small title="Offer this slot?" act={at(slot, "approve")}>
                        <p>It can be sold at once.</p>
                      </AskFirst>
                    )}
                    {slot.state === "discovered" && (
                      <AskFirst word="Reject" small danger title="Reject this slot?" act={at(slot, "reject")}>
                        <p>It is not offered until it is approved.</p>
                      </AskFirst>
                    )}
                    {slot.holds.length > 0 && (
                      <AskFirst word="Clear" small title="Clear what holds it back?" act={at(slot, "clear")}>
                        <p>It can be sold again. Be sure that its cause is gone.</p>
                      </AskFirst>
                    )}
                    {slot.holds.length === 0 && slot.state === "free" && (
                      <AskFirst word="Quarantine" small title="Hold this slot back?" act={at(slot, "quarantine")}>
                        <p>Nothing is placed on it until it is cleared.</p>
                      </AskFirst>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )
      }
    </Loaded>
  );
}
