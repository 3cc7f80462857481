// What network a workload gets. There is one kind: nothing here is asked.
import { Facts } from "../../ui/kit";

export function NetworkStep() {
  return (
    <div className="card stack narrow">
      <p>Every workload has a network of its own. There is nothing to choose.</p>
      <Facts
        of={[
          ["Inwards", "Only you: terminals, commands and SSH come through Muster. No port of the machine is open, and it needs no public address."],
          ["Outwards", "Open where the node isolates as root; without it the workload has its own loopback alone, and its overview says so."],
          ["Others", "Other workloads, the machine itself and its cloud metadata cannot be reached. Two workloads may use the same port."],
        ]}
      />
    </div>
  );
}
