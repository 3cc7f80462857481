// The roles a person can have, by door, as boxes to tick.
export const CONSOLE_ROLES = [
  ["viewer", "Sees, changes nothing"],
  ["member", "Launches and uses allocations"],
  ["project_admin", "Runs a project"],
  ["tenant_admin", "Runs the tenant"],
  ["billing", "Sees and pays bills"],
  ["app_dev", "A member who may also publish apps"],
] as const;

export const STAFF_ROLES = [
  ["op_read", "Staff who may look"],
  ["op_support", "Staff who help customers"],
  ["op_finance", "Staff who handle money"],
  ["op_ops", "Staff who run the fleet"],
  ["op_security", "Staff who guard access and evidence"],
  ["platform_admin", "Staff who may do everything"],
] as const;

export function RoleBoxes({
  title,
  roles,
  chosen,
  onChange,
}: {
  title: string;
  roles: readonly (readonly [string, string])[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}) {
  return (
    <fieldset className="stack tight boxes">
      <legend>{title}</legend>
      {roles.map(([role, what]) => (
        <label key={role} className="check">
          <input
            type="checkbox"
            checked={chosen.includes(role)}
            onChange={(event) => onChange(event.target.checked ? [...chosen, role] : chosen.filter((one) => one !== role))}
          />
          <span>
            <code>{role}</code> <span className="hint">{what}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
