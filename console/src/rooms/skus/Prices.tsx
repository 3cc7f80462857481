// What an hour of a SKU costs: a price is set for now or for a time to come, and what was set before is shown.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { at } from "../../api/at";
import { Problem } from "../../api/http";
import { oneQuery } from "../../api/lists";
import { useMayNot } from "../../api/me";
import type { Sku, SkuPrice } from "../../api/types";
import { Button, Dialog, Facts, Failed, Field, Loaded, State, Table, minorOf, say, sayMoney, sayPerHour, useAct } from "../../ui/kit";

/** Prices shown at once; older ones are in the audit log. */
const SHOWN = 20;

export function Prices({ of }: { of: Sku }) {
  // The version that was on the page when the dialog was opened.
  const [read, setRead] = useState<Sku>();
  const close = () => setRead(undefined);
  return (
    <>
      <Button small aria-label={`Price of ${of.name}`} onPress={() => setRead(of)}>
        Price
      </Button>
      <Dialog title={`Price of ${of.name}`} isOpen={read !== undefined} onClose={close}>
        {read && (
          <>
            <Facts of={[["Now", priceOf(of)]]} />
            <NewPrice of={read} onClose={close} />
            <History of={read} />
          </>
        )}
      </Dialog>
    </>
  );
}

export function priceOf({ price_minor_per_hour, currency }: Sku): string {
  return typeof price_minor_per_hour === "number" ? sayPerHour(price_minor_per_hour, currency) : "No price set";
}

function NewPrice({ of, onClose }: { of: Sku; onClose: () => void }) {
  const [amount, setAmount] = useState("");
  const [later, setLater] = useState(false);
  const [from, setFrom] = useState("");
  const mayNot = useMayNot("skus.set_price");
  const save = useAct<SkuPrice>((set) => {
    onClose();
    const begins = set.state === "coming" ? ` from ${new Date(set.effective_at).toLocaleString()} on` : "";
    say(`${of.name} costs ${sayPerHour(set.price_minor_per_hour, set.currency)}${begins}. What runs keeps its price.`);
  });
  const minor = minorOf(amount, of.currency);
  const wrong = (field: string) => (save.error instanceof Problem ? save.error.body.errors?.find((one) => one.field === field)?.detail : undefined);
  const [wrongAmount, wrongFrom] = [wrong("price_minor_per_hour"), later ? wrong("effective_at") : undefined];
  const send = () =>
    save.mutate({
      path: at("/api/v1/admin/skus/{id}/prices", { id: of.id }),
      body: { price_minor_per_hour: minor, ...(later ? { effective_at: new Date(from).toISOString() } : {}) },
      ifMatch: `"${of.version}"`,
    });
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (minor !== undefined && (!later || from)) send();
      }}
    >
      <Field
        label={`New price per hour, ${of.currency}`}
        inputMode="decimal"
        required
        autoFocus
        autoComplete="off"
        value={amount}
        onChange={(event) => setAmount(event.target.value)}
        hint={minor === undefined ? `Such as ${of.currency === "USD" ? "2.49" : "12"}. 0 is free of charge.` : `${sayPerHour(minor, of.currency)} for one. What runs keeps its price.`}
        error={wrongAmount ?? (amount && minor === undefined ? "This is not an amount of that currency." : undefined)}
      />
      <label className="check">
        <input type="checkbox" checked={later} onChange={(event) => setLater(event.target.checked)} />
        From a later time on
      </label>
      {later && <Field label="From" type="datetime-local" required value={from} onChange={(event) => setFrom(event.target.value)} hint="In your time zone." error={wrongFrom} />}
      {save.error && !wrongAmount && !wrongFrom && <Failed error={save.error} />}
      <div className="row end">
        <Button onPress={onClose}>Cancel</Button>
        <Button look="primary" type="submit" isDisabled={minor === undefined || (later && !from)} blocked={mayNot} isPending={save.isPending}>
          Set price
        </Button>
      </div>
    </form>
  );
}

function History({ of }: { of: Sku }) {
  const prices = useQuery(oneQuery(at("/api/v1/admin/skus/{id}/prices", { id: of.id }, { limit: SHOWN })));
  return (
    <Loaded query={prices} lines={2}>
      {({ items }) =>
        items.length > 0 && (
          <section className="stack tight">
            <h3>All that were set</h3>
            <Table
              label={`Prices of ${of.name}`}
              rows={items}
              id={(one) => String(one.version)}
              columns={[
                { head: "Per hour", number: true, cell: (one) => sayMoney(one.price_minor_per_hour, one.currency) },
                {
                  head: "From",
                  cell: (one) => (
                    <>
                      <time dateTime={one.effective_at} title={new Date(one.effective_at).toLocaleString()}>
                        {new Date(one.effective_at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" })}
                      </time>
                      <p className="hint break">set by {one.created_by_name ?? one.created_by}</p>
                    </>
                  ),
                },
                { head: "State", cell: (one) => <State of={one.state} /> },
              ]}
            />
          </section>
        )
      }
    </Loaded>
  );
}
