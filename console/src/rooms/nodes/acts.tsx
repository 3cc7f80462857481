// What each act on a node is called and does, for the panel. Whether it can be done is the door's word.
import type { ReactNode } from "react";
import type { Node } from "../../api/types";
import { wordOf } from "../../ui/kit";

export interface Wording {
  word: string;
  title: string;
  danger?: boolean;
  /** Type the node's name first. */
  typed?: boolean;
  body: ReactNode;
}

export const INTENTS = [
  ["setup", "Setup"],
  ["update", "Update"],
  ["maintenance", "Maintenance"],
  ["recovery", "Recovery"],
  ["destructive", "Destructive"],
] as const;

/** How an act is put to a person; one that this page has no words for keeps its own name. */
export function wordingOf(name: string, node: Node): Wording {
  switch (name) {
    case "approve":
      return {
        word: "Approve",
        title: `Let ${node.name} in?`,
        body: (
          <p>
            Compare the fingerprint with what the agent printed: <code className="break">{node.key_fingerprint}</code>
          </p>
        ),
      };
    case "reject":
      return { word: "Reject", title: `Reject ${node.name}?`, danger: true, body: <p>It gets no certificate and must enrol again.</p> };
    case "probe":
      return {
        word: "Probe",
        title: `Probe ${node.name}?`,
        body: <p>The agent looks at its GPUs and walls again and reports. Workloads are not touched.</p>,
      };
    case "cordon":
      return { word: "Cordon", title: `Cordon ${node.name}?`, body: <p>Nothing new is placed on it. What runs there runs on.</p> };
    case "uncordon":
      return { word: "Uncordon", title: `Uncordon ${node.name}?`, body: <p>New workloads may be placed on it again.</p> };
    case "revoke":
      return {
        word: "Revoke identity",
        title: `Revoke the identity of ${node.name}?`,
        danger: true,
        typed: true,
        body: <p>Its key and certificates are worthless at once and its link is closed. What runs there runs on, unseen.</p>,
      };
    case "remove":
      return {
        word: "Remove",
        title: `Take ${node.name} out of service for good?`,
        danger: true,
        typed: true,
        body: <p>It never comes back under this id, and its slots are retired. Refused while an allocation stands on it. Its history is kept.</p>,
      };
    default:
      return { word: wordOf(name), title: `${wordOf(name)}: ${node.name}?`, body: <p>This is done on the node; its progress is shown here.</p> };
  }
}
