// What the audit log may be narrowed to, as it stands in the address.
export const FILTERS = ["q", "actor", "action", "target", "outcome", "correlation_id", "from", "to"] as const;
export type Filters = Partial<Record<(typeof FILTERS)[number] | "event", string>>;
