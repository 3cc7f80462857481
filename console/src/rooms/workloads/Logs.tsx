// What the command of a workload wrote, as a file: it is read where long texts are read best.
import { at } from "../../api/at";
import type { Allocation } from "../../api/types";

export function Logs({ of }: { of: Allocation }) {
  return (
    <a className="button small" href={at("/api/v1/allocations/{allocation_id}/logs", { allocation_id: of.id })} download={`${of.name}.log`}>
      Download the logs
    </a>
  );
}
