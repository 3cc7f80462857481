// What a SKU is, to be filled in: for a new one, for another like one that is there, and for a draft that is changed.
import { useState } from "react";
import type { Act } from "../../api/act";
import type { Sku } from "../../api/types";
import { Area, Button, Choice, Failed, Field, useAct } from "../../ui/kit";
import { labelsOf, linesOf } from "../labels";

const KINDS = [
  ["gpu", "Whole GPUs of a node"],
  ["mig", "A MIG slice"],
  ["cpu", "A share of a node without GPUs"],
  ["node", "A whole node"],
] as const;
const GIB = 1024 ** 3;

export interface Given {
  name: string;
  kind: string;
  gpu_model: string;
  profile: string;
  gpus: string;
  cpus: string;
  memory: string;
  disk: string;
  pids: string;
  labels: string;
}

export const EMPTY: Given = { name: "", kind: "gpu", gpu_model: "", profile: "", gpus: "1", cpus: "1", memory: "1", disk: "2", pids: "512", labels: "" };

/** A SKU as it stands in the form. */
export function givenOf(sku: Sku): Given {
  // Exact: what is saved untouched stays as it was.
  const gib = (size: number) => String(size / GIB);
  return {
    name: sku.name,
    kind: sku.kind,
    gpu_model: sku.gpu_model ?? "",
    profile: sku.profile ?? "",
    gpus: String(sku.gpus),
    cpus: String(sku.cpu_milli / 1000),
    memory: gib(sku.memory_bytes),
    disk: gib(sku.disk_bytes),
    pids: String(sku.pids),
    labels: linesOf(sku.labels),
  };
}

export function SkuForm({
  start,
  fixed,
  word,
  act,
  onClose,
  onDone,
}: {
  start: Given;
  /** The kind of what is there already: it is not changed. */
  fixed?: boolean;
  word: string;
  act: (body: Record<string, unknown>) => Act;
  onClose: () => void;
  onDone: (sku: Sku) => void;
}) {
  const [given, setGiven] = useState(start);
  const save = useAct<Sku>(onDone);
  const set = (name: keyof Given) => (value: string) => setGiven({ ...given, [name]: value });
  const field = (name: keyof Given) => ({ value: given[name], onChange: (event: { target: { value: string } }) => set(name)(event.target.value) });
  const labels = labelsOf(given.labels);
  const whole = given.name.trim() !== "" && labels !== undefined && (given.kind !== "mig" || given.profile.trim() !== "");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (labels) save.mutate(act(bodyOf(given, labels, fixed ?? false)));
      }}
    >
      <Field label="Name" required maxLength={64} autoComplete="off" autoFocus hint="Letters, digits, dots, dashes and underscores." {...field("name")} />
      {!fixed && <Choice label="What one allocation takes" value={given.kind} onChange={set("kind")} options={KINDS} />}
      {given.kind !== "cpu" && <Field label="GPU model" maxLength={96} hint="A part of the name that NVML gives, such as H100. Empty takes any." {...field("gpu_model")} />}
      {given.kind === "mig" && <Field label="MIG profile" required hint="Such as 1g.10gb." {...field("profile")} />}
      {given.kind !== "cpu" && <Field label="How many" type="number" min={given.kind === "node" ? 0 : 1} max={64} {...field("gpus")} />}
      <div className="filters">
        <Field label="CPUs" type="number" min={0.01} step={0.01} {...field("cpus")} />
        <Field label="Memory, GiB" type="number" min={0.1} step="any" {...field("memory")} />
        <Field label="Disk, GiB" type="number" min={0.1} step="any" {...field("disk")} />
        <Field label="Processes" type="number" min={8} {...field("pids")} />
      </div>
      <Area
        label="Labels its nodes must carry"
        rows={2}
        hint="One a line: rack=r12. Without any, every node will do."
        error={labels ? undefined : "Each line is a key, an equals sign and a value."}
        {...field("labels")}
      />
      {save.error && <Failed error={save.error} />}
      <div className="row end">
        <Button onPress={onClose}>Cancel</Button>
        <Button look="primary" type="submit" isDisabled={!whole} isPending={save.isPending}>
          {word}
        </Button>
      </div>
    </form>
  );
}

function bodyOf(given: Given, labels: Record<string, string>, fixed: boolean): Record<string, unknown> {
  const whole = (value: string, by: number) => (value.trim() === "" ? undefined : Math.round(Number(value) * by));
  const gpu = given.kind !== "cpu";
  const model = given.gpu_model.trim();
  return {
    name: given.name.trim(),
    kind: fixed ? undefined : given.kind,
    // Of a draft the empty word takes the model away.
    gpu_model: gpu && (fixed || model) ? model : undefined,
    profile: given.kind === "mig" ? given.profile.trim() : undefined,
    gpus: gpu ? whole(given.gpus, 1) : undefined,
    cpu_milli: whole(given.cpus, 1000),
    memory_bytes: whole(given.memory, GIB),
    disk_bytes: whole(given.disk, GIB),
    pids: whole(given.pids, 1),
    labels,
  };
}
