// Adds a public key. Stands on the keys page and in the launch wizard.
import { useState } from "react";
import { Problem } from "../../api/http";
import type { SshKey } from "../../api/types";
import { Area, Button, Failed, Field, useAct } from "../../ui/kit";

export function AddKey({ onAdded }: { onAdded?: (key: SshKey) => void }) {
  const [name, setName] = useState("");
  const [key, setKey] = useState("");
  const add = useAct<SshKey>((made) => {
    setName("");
    setKey("");
    onAdded?.(made);
  });
  const said = add.error instanceof Problem ? add.error.body.errors?.find((one) => one.field === "public_key") : undefined;
  return (
    <div className="stack">
      <Area
        label="Public key"
        value={key}
        spellCheck={false}
        onChange={(event) => setKey(event.target.value)}
        placeholder="ssh-ed25519 AAAA…"
        hint="The line in ~/.ssh/id_ed25519.pub. Never a private key."
        error={said?.detail}
      />
      <Field label="Name (optional)" value={name} onChange={(event) => setName(event.target.value)} hint="Else the comment at its end." />
      {add.error && !said && <Failed error={add.error} />}
      <div>
        <Button
          blocked={key.trim() ? undefined : "Paste a key first."}
          isPending={add.isPending}
          onPress={() => add.mutate({ path: "/api/v1/ssh-keys", body: { public_key: key.trim(), ...(name ? { name } : {}) } })}
        >
          Add key
        </Button>
      </div>
    </div>
  );
}
