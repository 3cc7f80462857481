// The part of an OpenAPI document that the reference shows.
export interface Document {
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

export interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: Schema }[];
  requestBody?: { content?: Record<string, { schema?: Schema }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: Schema }> }>;
}

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  allOf?: Schema[];
  additionalProperties?: Schema | boolean;
  enum?: unknown[];
}

export interface Entry {
  id: string;
  method: string;
  path: string;
  operation: Operation;
}

const METHODS = ["get", "post", "put", "patch", "delete"];

/** Operations by tag, both in the order of the document. */
export function byTag(document: Document): [tag: string, entries: Entry[]][] {
  const tags = new Map<string, Entry[]>();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = methods[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] ?? "other";
      const entries = tags.get(tag) ?? [];
      entries.push({ id: operation.operationId ?? `${method} ${path}`, method: method.toUpperCase(), path, operation });
      tags.set(tag, entries);
    }
  }
  return [...tags].sort(([a], [b]) => a.localeCompare(b));
}

export function resolve(document: Document, schema: Schema | undefined): Schema | undefined {
  if (!schema?.$ref) return schema;
  return document.components?.schemas?.[nameOf(schema.$ref)];
}

export function nameOf(ref: string): string {
  return ref.slice(ref.lastIndexOf("/") + 1);
}

/** A type in one line. */
export function sayType(schema: Schema | undefined): string {
  if (!schema) return "anything";
  if (schema.$ref) return nameOf(schema.$ref);
  const several = schema.oneOf ?? schema.allOf;
  if (several) return several.map(sayType).join(" | ");
  if (schema.enum) return schema.enum.map(String).join(" | ");
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? "object"];
  return types.map((type) => (type === "array" ? `${sayType(schema.items)}[]` : (schema.format && type !== "null" && type !== "object" ? `${type} (${schema.format})` : type))).join(" | ");
}
