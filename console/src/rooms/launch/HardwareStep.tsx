// Which product.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Radio, RadioGroup } from "react-aria-components";
import { FilteredEmpty, Loaded } from "../../ui/kit";
import { NoneOffered, SkuFacts, SkuFilters, passes, skusQuery, type CatalogFilters } from "../catalog/Catalog";
import type { StepProps } from "./step";

export function HardwareStep({ draft, change }: StepProps) {
  const [filters, setFilters] = useState<CatalogFilters>({});
  const list = useInfiniteQuery(skusQuery);
  return (
    <Loaded query={list}>
      {(skus) => {
        if (skus.length === 0) return <NoneOffered />;
        const shown = skus.filter((sku) => passes(sku, filters));
        return (
          <>
            <SkuFilters filters={filters} onFilters={setFilters} />
            {shown.length === 0 && <FilteredEmpty what="product" onClear={() => setFilters({})} />}
            <RadioGroup className="cards" aria-label="Hardware" value={draft.sku || null} onChange={(sku) => change({ sku })}>
              {shown.map((sku) => (
                <Radio key={sku.id} value={sku.name} className="choice" isDisabled={sku.free === 0}>
                  <SkuFacts sku={sku} />
                </Radio>
              ))}
            </RadioGroup>
          </>
        );
      }}
    </Loaded>
  );
}
