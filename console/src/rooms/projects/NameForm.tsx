// The name of a project, new or another one; a name that is taken is said at its field.
import { useState } from "react";
import type { Act } from "../../api/act";
import { Problem } from "../../api/http";
import type { Project } from "../../api/types";
import { Button, Failed, Field, useAct } from "../../ui/kit";

export function NameForm({
  word,
  name: before = "",
  act,
  onClose,
  onDone,
}: {
  word: string;
  name?: string;
  act: (name: string) => Act;
  onClose: () => void;
  onDone: (project: Project) => void;
}) {
  const [name, setName] = useState(before);
  const save = useAct<Project>(onDone);
  const problem = save.error instanceof Problem ? save.error : undefined;
  const said = problem?.code === "name_taken" ? problem.message : problem?.body.errors?.[0]?.detail;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(act(name.trim()));
      }}
    >
      <Field label="Name" value={name} required maxLength={100} autoFocus onChange={(event) => setName(event.target.value)} error={said} />
      {save.error && !said && <Failed error={save.error} />}
      <div className="row end">
        <Button onPress={onClose}>Cancel</Button>
        <Button look="primary" type="submit" isPending={save.isPending}>
          {word}
        </Button>
      </div>
    </form>
  );
}
