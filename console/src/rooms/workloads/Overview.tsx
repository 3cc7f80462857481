// What a workload is: its hardware, its times, and what its node does not enforce.
import type { Allocation } from "../../api/types";
import { Ago, CopyButton, Facts, Go, Id, Notice, When, sayPerHour } from "../../ui/kit";

export function Overview({ of }: { of: Allocation }) {
  return (
    <div className="stack">
      {of.forced && (
        <Notice tone="warn" title={`${of.forced.by}, an operator, ended it`}>
          <p className="break">{of.forced.reason}</p>
          <p className="hint">
            <Ago at={of.forced.at} />
          </p>
        </Notice>
      )}
      {of.not_enforced.length > 0 && (
        <Notice tone="warn" title="Its node does not enforce every limit">
          <p>Not enforced here: {of.not_enforced.join(", ")}.</p>
        </Notice>
      )}
      <div className="columns">
        <section className="card stack">
          <h2>Hardware</h2>
          <Facts
            of={[
              ["Product", of.sku],
              ["Price", of.price ? sayPerHour(of.price.minor_per_hour, of.price.currency) : "No price set"],
              [
                "Slots",
                of.slots.map((slot) => (
                  <div key={slot.id}>
                    {slot.profile ?? (slot.kind === "gpu" ? "Whole GPU" : slot.kind)} {slot.gpu_uuid && <Id of={slot.gpu_uuid} />}
                  </div>
                )),
              ],
              ["Node", <span key="node">{of.node_name} <Id of={of.node_id} /></span>],
              ["Isolation", of.isolation ?? "not reported yet"],
            ]}
          />
        </section>
        <section className="card stack">
          <h2>Life</h2>
          <Facts
            of={[
              ["Created", <Ago key="created" at={of.created_at} />],
              ["Active since", of.active_at && <Ago key="active" at={of.active_at} />],
              ["Release asked for", of.release_at && <When key="release" at={of.release_at} />],
              ["Ended", of.ended_at && <When key="ended" at={of.ended_at} />],
              ["Exit code", of.exit_code],
              ["Launched by", <Go key="launch" to={`/tasks/${of.operation_id}`}>this task</Go>],
              ["Released by", of.release_operation_id && <Go key="task" to={`/tasks/${of.release_operation_id}`}>this task</Go>],
              [
                "Id",
                <span key="id" className="row tight">
                  <code className="break">{of.id}</code> <CopyButton text={of.id} what="the id" />
                </span>,
              ],
            ]}
          />
        </section>
      </div>
    </div>
  );
}
