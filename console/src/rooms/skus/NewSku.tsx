// A new SKU, as a draft: it is not sold before it is activated.
import { useState } from "react";
import { at } from "../../api/at";
import type { Sku } from "../../api/types";
import { Button, Choice, Dialog, Failed, Field, say, useAct } from "../../ui/kit";

const KINDS = [
  ["gpu", "Whole GPUs of a node"],
  ["mig", "A MIG slice"],
  ["cpu", "A share of a node without GPUs"],
  ["node", "A whole node"],
] as const;

const EMPTY = { name: "", kind: "gpu", gpu_model: "", profile: "", gpus: "1", cpus: "1", memory: "1", disk: "2", pids: "512" };
const GIB = 1024 ** 3;

export function NewSku() {
  const [open, setOpen] = useState(false);
  const [given, setGiven] = useState(EMPTY);
  const make = useAct<Sku>((made) => {
    setOpen(false);
    setGiven(EMPTY);
    say(`${made.name} is made, as a draft: it matches ${made.total} on the fleet. Activate it to sell it.`);
  });
  const set = (name: keyof typeof EMPTY) => (value: string) => setGiven({ ...given, [name]: value });
  const field = (name: keyof typeof EMPTY) => ({ value: given[name], onChange: (event: { target: { value: string } }) => set(name)(event.target.value) });
  const close = () => {
    setOpen(false);
    make.reset();
  };
  return (
    <>
      <Button look="primary" onPress={() => setOpen(true)}>
        New SKU
      </Button>
      <Dialog title="New SKU" isOpen={open} onClose={close}>
        <Field label="Name" required maxLength={64} autoComplete="off" hint="Letters, digits, dots, dashes and underscores." {...field("name")} />
        <Choice label="What one allocation takes" value={given.kind} onChange={set("kind")} options={KINDS} />
        {given.kind !== "cpu" && <Field label="GPU model" hint="A part of the name that NVML gives, such as H100. Empty takes any." {...field("gpu_model")} />}
        {given.kind === "mig" && <Field label="MIG profile" required hint="Such as 1g.10gb." {...field("profile")} />}
        {given.kind !== "cpu" && <Field label="How many" type="number" min={given.kind === "node" ? 0 : 1} max={64} {...field("gpus")} />}
        <div className="filters">
          <Field label="CPUs" type="number" min={0.01} step={0.01} {...field("cpus")} />
          <Field label="Memory, GiB" type="number" min={0.1} step={0.1} {...field("memory")} />
          <Field label="Disk, GiB" type="number" min={0.1} step={0.1} {...field("disk")} />
          <Field label="Processes" type="number" min={8} {...field("pids")} />
        </div>
        {make.error && <Failed error={make.error} />}
        <div className="row end">
          <Button onPress={close}>Cancel</Button>
          <Button
            look="primary"
            isDisabled={given.name.trim() === "" || (given.kind === "mig" && given.profile.trim() === "")}
            isPending={make.isPending}
            onPress={() => make.mutate({ path: at("/api/v1/admin/skus"), body: bodyOf(given) })}
          >
            Make draft
          </Button>
        </div>
      </Dialog>
    </>
  );
}

function bodyOf(given: typeof EMPTY) {
  const text = (value: string) => (value.trim() === "" ? undefined : value.trim());
  const whole = (value: string, by: number) => (value.trim() === "" ? undefined : Math.round(Number(value) * by));
  const gpu = given.kind !== "cpu";
  return {
    name: given.name.trim(),
    kind: given.kind,
    gpu_model: gpu ? text(given.gpu_model) : undefined,
    profile: given.kind === "mig" ? text(given.profile) : undefined,
    gpus: gpu ? whole(given.gpus, 1) : undefined,
    cpu_milli: whole(given.cpus, 1000),
    memory_bytes: whole(given.memory, GIB),
    disk_bytes: whole(given.disk, GIB),
    pids: whole(given.pids, 1),
  };
}
