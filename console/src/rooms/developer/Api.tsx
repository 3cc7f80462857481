// The reference of this door's API, drawn from the document that the door itself serves.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/http";
import { Family, FilteredEmpty, Loaded, Page, Search, wordOf } from "../../ui/kit";
import { DEVELOPER } from "./family";
import { byTag, resolve, sayType, type Document, type Entry, type Schema } from "./openapi";

const ROUTE = "/api/v1/openapi.json";

export function Api() {
  const document = useQuery({ queryKey: [ROUTE], queryFn: ({ signal }) => ask<Document>(ROUTE, { signal }), staleTime: Infinity });
  const [text, setText] = useState("");
  return (
    <Page title="API reference">
      <Family label="Developer" links={DEVELOPER} />
      <Loaded query={document} lines={8}>
        {(it) => {
          const wanted = text.trim().toLowerCase();
          const shown = byTag(it)
            .map(([tag, entries]) => [tag, entries.filter((entry) => matches(entry, wanted))] as const)
            .filter(([, entries]) => entries.length > 0);
          return (
            <>
              <p className="hint">
                {it.info.title} {it.info.version}. The same document for programs: <a href={ROUTE}>{ROUTE}</a>.
              </p>
              <div className="filters">
                <Search label="Look for" value={text} onChange={setText} />
              </div>
              {shown.length === 0 && (
                <div className="card">
                  <FilteredEmpty what="route" onClear={() => setText("")} />
                </div>
              )}
              {shown.map(([tag, entries]) => (
                <section key={tag} className="stack tight">
                  <h2>{wordOf(tag)}</h2>
                  {entries.map((entry) => (
                    <Route key={entry.id} entry={entry} document={it} />
                  ))}
                </section>
              ))}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

function matches({ path, method, operation, id }: Entry, wanted: string): boolean {
  return !wanted || `${method} ${path} ${id} ${operation.summary ?? ""} ${operation.description ?? ""}`.toLowerCase().includes(wanted);
}

function Route({ entry: { method, path, operation }, document }: { entry: Entry; document: Document }) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  return (
    <details className="card route">
      <summary>
        <code className={`method ${method.toLowerCase()}`}>{method}</code> <code className="break">{path}</code>
        <span className="hint">{operation.summary}</span>
      </summary>
      <div className="stack">
        {operation.description && <p>{operation.description}</p>}
        {(operation.parameters?.length ?? 0) > 0 && (
          <Fields
            title="Parameters"
            rows={(operation.parameters ?? []).map((one) => [
              `${one.name} (${one.in})`,
              sayType(one.schema),
              Boolean(one.required),
              one.description ?? "",
            ])}
          />
        )}
        {body && <Shape title="Body" schema={body} document={document} />}
        {Object.entries(operation.responses ?? {}).map(([status, response]) => {
          const schema = response.content?.["application/json"]?.schema;
          if (!schema) return <p key={status}>{status}: {response.description || "no body"}</p>;
          return <Shape key={status} title={`Answer ${status}`} schema={schema} document={document} />;
        })}
      </div>
    </details>
  );
}

function Shape({ title, schema, document }: { title: string; schema: Schema; document: Document }) {
  const whole = resolve(document, schema);
  const properties = Object.entries(whole?.properties ?? {});
  if (properties.length === 0) return <p>{`${title}: ${sayType(schema)}`}</p>;
  return (
    <Fields
      title={`${title}: ${sayType(schema)}`}
      rows={properties.map(([name, one]) => [name, sayType(one), Boolean(whole?.required?.includes(name)), one.description ?? ""])}
    />
  );
}

function Fields({ title, rows }: { title: string; rows: [name: string, type: string, required: boolean, about: string][] }) {
  return (
    <section className="stack tight">
      <h3>{title}</h3>
      <dl className="facts">
        {rows.map(([name, type, required, about]) => (
          <div key={name} className="fact">
            <dt>
              <code>{name}</code>
            </dt>
            <dd>
              <code>{type}</code>
              {required ? " · required" : ""} <span className="hint">{about}</span>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
