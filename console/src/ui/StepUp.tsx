// Sensitive acts ask for the password once more; for five minutes after that they are open.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Problem, ask } from "../api/http";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { Field } from "./Field";
import { Failed } from "./Notice";

/** Whether a call was refused for want of the password. */
export function needsStepUp(error: unknown): boolean {
  return error instanceof Problem && error.code === "step_up_required";
}

export function StepUp({ isOpen, onClose, onDone }: { isOpen: boolean; onClose: () => void; onDone: () => void }) {
  const [password, setPassword] = useState("");
  const confirm = useMutation({
    mutationFn: () => ask("/api/v1/auth/step-up", { method: "POST", body: { password } }),
    onSuccess: () => {
      setPassword("");
      onDone();
    },
  });
  return (
    <Dialog title="Confirm your password" isOpen={isOpen} onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          confirm.mutate();
        }}
      >
        <p className="hint">This changes who can act as you. It stays open for five minutes.</p>
        <Field label="Password" type="password" autoComplete="current-password" autoFocus required value={password} onChange={(event) => setPassword(event.target.value)} />
        {confirm.error && <Failed error={confirm.error} />}
        <div className="row end">
          <Button onPress={onClose}>Cancel</Button>
          <Button look="primary" type="submit" isPending={confirm.isPending}>
            Confirm
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
