// What there is to launch on: every product with what it is and how much of it is free now.
import { useInfiniteQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { listQuery } from "../../api/lists";
import type { Sku } from "../../api/types";
import { Badge, Choice, Empty, FilteredEmpty, GoButton, Loaded, Page, Search, bytes, sayPerHour } from "../../ui/kit";

export const skusQuery = listQuery<Sku>(at("/api/v1/skus"), { limit: 200 }, 5000);

export const KINDS = [
  ["", "Any kind"],
  ["gpu", "Whole GPUs"],
  ["mig", "GPU slices"],
  ["cpu", "CPU only"],
  ["node", "Whole machines"],
] as const;

export interface CatalogFilters {
  kind?: string | undefined;
  q?: string | undefined;
  free?: string | undefined;
}

export function Catalog({ filters, onFilters }: { filters: CatalogFilters; onFilters: (filters: CatalogFilters) => void }) {
  const list = useInfiniteQuery(skusQuery);
  return (
    <Page title="Compute catalog">
      <SkuFilters filters={filters} onFilters={onFilters} />
      <Loaded query={list}>
        {(skus) => {
          const shown = skus.filter((sku) => passes(sku, filters));
          if (skus.length === 0) return <NoneOffered />;
          if (shown.length === 0) {
            return (
              <div className="card">
                <FilteredEmpty what="product" onClear={() => onFilters({})} />
              </div>
            );
          }
          return (
            <ul className="cards bare-list">
              {shown.map((sku) => (
                <li key={sku.id} className="card stack tight product">
                  <SkuFacts sku={sku} />
                  {sku.free > 0 ? (
                    <GoButton to={`/launch/compute?sku=${encodeURIComponent(sku.name)}`} aria-label={`Launch on ${sku.name}`}>
                      Launch
                    </GoButton>
                  ) : (
                    <p className="hint">{sku.total > 0 ? "All of it is in use now. It is free again when a workload on it ends." : "No machine here has this hardware."}</p>
                  )}
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </Page>
  );
}

export function NoneOffered() {
  return (
    <div className="card">
      <Empty title="Nothing is offered yet">
        <p>Whoever runs Muster here has not made any product yet. Ask them, or come back later.</p>
      </Empty>
    </div>
  );
}

export function SkuFilters({ filters, onFilters }: { filters: CatalogFilters; onFilters: (filters: CatalogFilters) => void }) {
  const change = (part: CatalogFilters) => onFilters({ ...filters, ...part });
  return (
    <div className="filters">
      <Choice label="Kind" value={filters.kind ?? ""} onChange={(kind) => change({ kind: kind || undefined })} options={KINDS} />
      <Search label="Name or GPU" value={filters.q ?? ""} onChange={(q) => change({ q: q || undefined })} />
      <label className="check">
        <input type="checkbox" checked={filters.free === "yes"} onChange={(event) => change({ free: event.target.checked ? "yes" : undefined })} />
        Only what is free now
      </label>
    </div>
  );
}

export function SkuFacts({ sku }: { sku: Sku }) {
  return (
    <>
      <span className="row apart">
        <strong className="break">{sku.name}</strong>
        <Badge tone={sku.free > 0 ? "good" : "quiet"}>{sku.free > 0 ? `${sku.free} of ${sku.total} free` : sku.total > 0 ? "Sold out" : "None here"}</Badge>
      </span>
      <span>{whatIs(sku)}</span>
      {typeof sku.price_minor_per_hour === "number" ? <span className="price">{sayPerHour(sku.price_minor_per_hour, sku.currency)}</span> : <span className="hint">No price set</span>}
      <span className="hint">
        {sku.cpu_milli / 1000} CPU · {bytes(sku.memory_bytes)} memory · {bytes(sku.disk_bytes)} disk
      </span>
    </>
  );
}

export function passes(sku: Sku, { kind, q, free }: CatalogFilters): boolean {
  if (kind && sku.kind !== kind) return false;
  if (free === "yes" && sku.free === 0) return false;
  return !q || `${sku.name} ${whatIs(sku)}`.toLowerCase().includes(q.toLowerCase());
}

export function whatIs(sku: Sku): string {
  if (sku.kind === "cpu") return "No GPU";
  if (sku.kind === "mig") return `A slice ${sku.profile ?? ""} of a GPU`;
  const model = (sku.gpu_model ?? "GPU").replace(/\b(nvidia|hbm\w*|sxm\d*|pcie|gb|\d+gb|[a-z]+\d+\w*)\b/gi, (word) => word.toUpperCase());
  if (sku.kind === "node") return `A whole machine: ${sku.gpus} × ${model}`;
  return `${sku.gpus} × ${model}`;
}
