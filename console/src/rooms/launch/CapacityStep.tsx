// How many, under which name, for which project.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import { Choice, Field } from "../../ui/kit";
import { skusQuery } from "../catalog/Catalog";
import type { FieldErrors, StepProps } from "./step";

const MOST = 64;

export function CapacityStep({ draft, change, errors }: StepProps & { errors: FieldErrors }) {
  const projects = useInfiniteQuery(listQuery(at("/api/v1/projects"), { limit: 200 }));
  const skus = useInfiniteQuery(skusQuery);
  const sku = skus.data?.find((one) => one.name === draft.sku);
  const usual = projects.data?.find((one) => one.is_default);
  return (
    <div className="stack narrow">
      <Field
        label="How many"
        type="number"
        inputMode="numeric"
        min={1}
        max={MOST}
        value={draft.count}
        onChange={(event) => change({ count: Math.min(MOST, Math.max(1, Math.round(Number(event.target.value)) || 1)) })}
        hint={sku ? `${sku.free} of ${draft.sku} are free now. All of them are launched, or none.` : "All of them are launched, or none."}
        error={errors("count")}
      />
      <Field
        label="Name (optional)"
        value={draft.name}
        maxLength={63}
        autoComplete="off"
        onChange={(event) => change({ name: event.target.value })}
        hint="Letters, digits and dashes. It is the host name inside; with several, a number is added."
        error={errors("name")}
      />
      {(projects.data?.length ?? 0) > 1 && (
        <Choice
          label="Project"
          value={draft.project || (usual?.id ?? "")}
          onChange={(project) => change({ project })}
          options={(projects.data ?? []).map((one) => [one.id, one.name] as const)}
        />
      )}
    </div>
  );
}
