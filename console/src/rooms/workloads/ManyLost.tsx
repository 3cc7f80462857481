// Many machines are lost together: said once where workloads are listed, so that nobody releases what will come back.
import { Ago, Notice } from "../../ui/kit";

export function ManyLost({ at }: { at: string | null | undefined }) {
  if (!at) return null;
  return (
    <Notice tone="warn" title="Many machines of this platform cannot be reached now">
      <p>
        Since <Ago at={at} />. What runs on them runs on and keeps its place; nothing of yours is given up, and there is nothing for you to do. The operators see it too.
      </p>
    </Notice>
  );
}
