// A name of people's own. One that is too long for its place is cut in the middle: names of a series differ at their end.

/** Up to so many letters a name has room everywhere. */
const SHORT = 16;
/** So many letters of its end are always shown. */
const TAIL = 8;

/** Whatever the eye sees, the whole name is what is read aloud and found. */
export function Name({ of, title = of }: { of: string; title?: string }) {
  const letters = [...of];
  if (letters.length <= SHORT) return <span title={title}>{of}</span>;
  return (
    <span className="name" title={title}>
      <span className="visually-hidden">{of}</span>
      <span aria-hidden="true">{letters.slice(0, -TAIL).join("")}</span>
      <span aria-hidden="true">{letters.slice(-TAIL).join("")}</span>
    </span>
  );
}
