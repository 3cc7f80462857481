// SKUs that are made or changed: a draft is not sold before it is activated, and what was sold once stays as it is.
import { useState } from "react";
import { at } from "../../api/at";
import { useMayNot } from "../../api/me";
import type { Sku } from "../../api/types";
import { Button, Dialog, say } from "../../ui/kit";
import { EMPTY, SkuForm, givenOf } from "./SkuForm";

/** A new one; `like` is a SKU to begin from. */
export function NewSku({ like }: { like?: Sku }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  const start = like ? { ...givenOf(like), name: `${like.name}-2`.slice(0, 64) } : EMPTY;
  return (
    <>
      <Button look={like ? "ordinary" : "primary"} small={Boolean(like)} {...(like ? { "aria-label": `Copy ${like.name}` } : {})} blocked={useMayNot("skus.create")} onPress={() => setOpen(true)}>
        {like ? "Copy" : "New SKU"}
      </Button>
      <Dialog title={like ? `A SKU like ${like.name}` : "New SKU"} isOpen={open} onClose={close}>
        <SkuForm
          start={start}
          word="Make draft"
          act={(body) => ({ path: at("/api/v1/admin/skus"), body })}
          onClose={close}
          onDone={(made) => {
            close();
            say(`${made.name} is made, as a draft: it matches ${made.total} on the fleet. Activate it to sell it.`);
          }}
        />
      </Dialog>
    </>
  );
}

/** A draft that is changed, at the version that was read when the dialog was opened. */
export function EditSku({ of }: { of: Sku }) {
  const [read, setRead] = useState<Sku>();
  const close = () => setRead(undefined);
  return (
    <>
      <Button small aria-label={`Edit ${of.name}`} blocked={useMayNot("skus.update")} onPress={() => setRead(of)}>
        Edit
      </Button>
      <Dialog title={`Edit ${of.name}`} isOpen={read !== undefined} onClose={close}>
        {read && (
          <SkuForm
            start={givenOf(read)}
            fixed
            word="Save"
            act={(body) => ({ path: at("/api/v1/admin/skus/{id}", { id: read.id }), method: "PATCH", body, ifMatch: `"${read.version}"` })}
            onClose={close}
            onDone={(saved) => {
              close();
              say(`${saved.name} is changed: it matches ${saved.total} on the fleet.`);
            }}
          />
        )}
      </Dialog>
    </>
  );
}
