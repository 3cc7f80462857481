// The cells that run on a node as it reported them last. One that no allocation stands behind can be ended here.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { Cell, Paged } from "../../api/types";
import { AskFirst, Badge, Go, Loaded, State, Table } from "../../ui/kit";
import { allocationPath } from "../paths";

export function Cells({ node }: { node: string }) {
  const list = useQuery(oneQuery<Paged<Cell>>(at("/api/v1/admin/nodes/{node_id}/cells", { node_id: node }), 4000));
  return (
    <section className="stack tight" aria-labelledby="cells-head">
      <h2 id="cells-head">Cells</h2>
      <Loaded query={list} lines={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="hint">It reported no cell.</p>
          ) : (
            <Table
              label="Cells of the node"
              rows={items}
              id={(one) => one.allocation_id}
              columns={[
                { head: "Allocation", cell: (one) => <Go to={allocationPath(one.allocation_id)}>{one.allocation_id}</Go> },
                { head: "State", cell: (one) => <State of={one.phase} /> },
                { head: "Isolation", cell: (one) => one.isolation || "not reported" },
                { head: "Sessions", number: true, cell: (one) => one.sessions },
                { head: "Claimed", cell: (one) => (one.unclaimed ? <Badge tone="warn">By nobody</Badge> : "by its allocation") },
                {
                  head: "Actions",
                  cell: (one) =>
                    one.unclaimed ? (
                      <AskFirst
                        word="End"
                        small
                        danger
                        title="End this cell?"
                        act={{ path: `${at("/api/v1/admin/nodes/{node_id}/cells", { node_id: node })}/${one.allocation_id}/end` }}
                      >
                        <p>No allocation stands behind it. Its programs are ended and its disk is deleted.</p>
                      </AskFirst>
                    ) : (
                      <span className="hint">Ended by its release.</span>
                    ),
                },
              ]}
            />
          )
        }
      </Loaded>
    </section>
  );
}
