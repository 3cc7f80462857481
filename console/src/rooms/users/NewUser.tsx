// A new person: a customer with a tenant of their own, or staff.
import { useState } from "react";
import { at } from "../../api/at";
import { Button, Dialog, Failed, Field, say, useAct } from "../../ui/kit";
import { CONSOLE_ROLES, RoleBoxes, STAFF_ROLES } from "./roles";
import "./users.css";

const EMPTY = { username: "", email: "", password: "" };

export function NewUser() {
  const [open, setOpen] = useState(false);
  const [given, setGiven] = useState(EMPTY);
  const [roles, setRoles] = useState<string[]>(["tenant_admin"]);
  const make = useAct<unknown>(() => {
    setOpen(false);
    say(`${given.username} can sign in now.`);
    setGiven(EMPTY);
  });
  const field = (name: keyof typeof EMPTY) => ({ value: given[name], onChange: (event: { target: { value: string } }) => setGiven({ ...given, [name]: event.target.value }) });
  const close = () => {
    setOpen(false);
    make.reset();
  };
  return (
    <>
      <Button look="primary" onPress={() => setOpen(true)}>
        New user
      </Button>
      <Dialog title="New user" isOpen={open} onClose={close}>
        <Field label="Username" required autoComplete="off" hint="2 to 64 letters, digits or . _ - @ +" {...field("username")} />
        <Field label="E-mail, if there is one" type="email" autoComplete="off" {...field("email")} />
        <Field label="First password" required type="password" autoComplete="new-password" hint="At least 8 characters. They can change it under Account." {...field("password")} />
        <RoleBoxes title="At the user console" roles={CONSOLE_ROLES} chosen={roles} onChange={setRoles} />
        <RoleBoxes title="At the operator console" roles={STAFF_ROLES} chosen={roles} onChange={setRoles} />
        {make.error && <Failed error={make.error} />}
        <div className="row end">
          <Button onPress={close}>Cancel</Button>
          <Button
            look="primary"
            isDisabled={given.username.trim() === "" || given.password === "" || roles.length === 0}
            isPending={make.isPending}
            onPress={() => make.mutate({ path: at("/api/v1/admin/users"), body: { ...given, email: given.email || undefined, roles } })}
          >
            Make user
          </Button>
        </div>
      </Dialog>
    </>
  );
}
