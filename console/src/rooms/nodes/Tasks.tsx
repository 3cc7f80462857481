// What the node was told to do, newest first.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import type { NodeTask, Paged } from "../../api/types";
import { Ago, Empty, Loaded, State, Table } from "../../ui/kit";
import { RunLink } from "../paths";

export function Tasks({ node }: { node: string }) {
  const list = useQuery(oneQuery<Paged<NodeTask>>(at("/api/v1/admin/nodes/{node_id}/tasks", { node_id: node }), 3000));
  return (
    <Loaded query={list}>
      {({ items }) =>
        items.length === 0 ? (
          <div className="card">
            <Empty title="No task was given to it yet" />
          </div>
        ) : (
          <Table
            label="Tasks of the node"
            rows={items}
            id={(row) => row.id}
            columns={[
              { head: "Task", cell: (row) => row.kind },
              { head: "State", cell: (row) => <State of={row.state} /> },
              { head: "Attempt", number: true, cell: (row) => row.attempt },
              { head: "Result", cell: (row) => row.result_detail ?? row.result_code ?? row.progress },
              { head: "Given", cell: (row) => <Ago at={row.created_at} /> },
              { head: "Run", cell: (row) => <RunLink of={row.operation_id} /> },
            ]}
          />
        )
      }
    </Loaded>
  );
}
