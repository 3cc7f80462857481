// What a page shows while it has nothing: being loaded, failed, empty, or emptied by filters.
import type { ReactNode } from "react";
import { Button } from "./Button";
import { Failed } from "./Notice";

/** Nothing here, and the way on. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** There is something, but not of what the filters ask for; they stay, and can be taken away. */
export function FilteredEmpty({ what, onClear }: { what: string; onClear: () => void }) {
  return (
    <Empty title={`No ${what} matches these filters`}>
      <Button onPress={onClear}>Clear the filters</Button>
    </Empty>
  );
}

/** The shape of what is being loaded. */
export function Loading({ lines = 4 }: { lines?: number }) {
  return (
    <div className="stack" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, at) => (
        <div key={at} className="skeleton" style={{ width: `${90 - ((at * 17) % 45)}%` }} />
      ))}
    </div>
  );
}

/** One of loading, failed or the thing itself; what was shown stays when asking again fails. */
export function Loaded<T>({
  query,
  children,
  lines,
}: {
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
  lines?: number;
}) {
  const failed = query.error ? <Failed error={query.error} retry={() => void query.refetch()} /> : null;
  if (query.data === undefined) return failed ?? <Loading {...(lines ? { lines } : {})} />;
  return (
    <>
      {failed}
      {children(query.data)}
    </>
  );
}
