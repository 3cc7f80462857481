// Addresses of the doors, checked against their own documents: a route that is gone does not compile.
import type { paths as C } from "./console";
import type { paths as O } from "./operator";

type Paths = C & Omit<O, keyof C>;
type Given = Record<string, string | number | boolean | undefined | null>;

/** The names in braces of a path. */
type Names<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;

/** What a `GET` of a path answers with. */
export type Answer<P extends keyof Paths> = Paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer Body } } } };
}
  ? Body
  : unknown;

/** An address that knows what it answers with. */
export type At<T> = string & { readonly answer?: T };

/** `at("/api/v1/tasks/{id}", { id }, { limit: 5 })`: names in braces filled in, filters that are set appended. */
export function at<P extends keyof Paths & string>(
  path: P,
  ...[names, filters]: Names<P> extends never ? [names?: undefined, filters?: Given] : [names: Record<Names<P>, string>, filters?: Given]
): At<Answer<P>> {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent((names as Record<string, string> | undefined)?.[name] ?? ""));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(filters ?? {})) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${filled}?${text}` : filled;
}
