// What runs: the image, a command if it is a batch, and its environment.
import { useQuery } from "@tanstack/react-query";
import { Radio, RadioGroup } from "react-aria-components";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { Area, Field, Loaded } from "../../ui/kit";
import type { FieldErrors, StepProps } from "./step";

export function ImageStep({ draft, change, errors }: StepProps & { errors: FieldErrors }) {
  const images = useQuery(oneQuery(at("/api/v1/os-images", undefined, { sku: draft.sku })));
  return (
    <div className="stack narrow">
      <Loaded query={images} lines={2}>
        {({ items }) => (
          <RadioGroup className="stack tight" aria-label="Image" value={draft.image} onChange={(image) => change({ image })}>
            {items.map((image) => (
              <Radio key={image.id} value={image.name} className="choice">
                <strong>{image.name}</strong>
                <span className="hint">{image.description}</span>
              </Radio>
            ))}
          </RadioGroup>
        )}
      </Loaded>
      <Area
        label="Command (optional)"
        value={draft.command}
        spellCheck={false}
        onChange={(event) => change({ command: event.target.value })}
        hint="Run by sh. Without one the workload waits for you until it is released."
        error={errors("command")}
      />
      {draft.command.trim() && (
        <>
          <label className="check">
            <input type="checkbox" checked={draft.releaseOnExit} onChange={(event) => change({ releaseOnExit: event.target.checked })} />
            Release the hardware when the command ends
          </label>
          <Field
            label="Longest run in hours (optional)"
            type="number"
            min={0}
            step="any"
            value={draft.hours}
            onChange={(event) => change({ hours: event.target.value })}
            hint="The command is ended after so long."
            error={errors("max_runtime_s")}
          />
        </>
      )}
      <details open={Boolean(draft.env)}>
        <summary>Environment</summary>
        <Area
          label="Variables (optional)"
          value={draft.env}
          spellCheck={false}
          placeholder="NAME=value"
          onChange={(event) => change({ env: event.target.value })}
          hint="One a line, for every session. Values are shown to nobody afterwards."
          error={errors("env")}
        />
      </details>
    </div>
  );
}
