// Saying that one looks after an item of the queue, so that the others need not; and taking that back.
import { useState } from "react";
import { at } from "../../api/at";
import { useMayNot } from "../../api/me";
import type { AttentionItem } from "../../api/types";
import { AskFirst, Button, Field, useAct } from "../../ui/kit";

export function Ack({ of }: { of: AttentionItem }) {
  const [note, setNote] = useState("");
  const mayNot = useMayNot("attention.ack");
  const path = at("/api/v1/admin/attention/{id}/ack", { id: of.id });
  const back = useAct();
  // Whoever only looks has no use for a button at every line.
  if (mayNot) return null;
  if (of.seen) {
    return (
      <Button small look="plain" aria-label={`Not seen: ${of.title}`} isPending={back.isPending} onPress={() => back.mutate({ path, method: "DELETE" })}>
        Not seen
      </Button>
    );
  }
  return (
    <AskFirst word="Seen" small title="You look after it?" act={{ path, body: { note: note.trim() } }}>
      <p>{of.title} The others see that you know. It stays in the queue until it is over, and is new again when it comes back.</p>
      <Field label="Note (optional)" maxLength={500} value={note} onChange={(event) => setNote(event.target.value)} />
    </AskFirst>
  );
}
