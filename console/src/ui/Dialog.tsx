// Questions that hold the page until they are answered. Escape and Cancel mean no; Enter alone never means yes.
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useAct, type Act } from "../api/act";
import { Button } from "./Button";
import { Field } from "./Field";
import { Failed } from "./Notice";
import { StepUp, needsStepUp } from "./StepUp";

export function Dialog({
  title,
  isOpen,
  onClose,
  children,
}: {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <ModalOverlay className="veil" isDismissable isOpen={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Modal>
        <AriaDialog className="dialog">
          <Heading slot="title" level={2}>
            {title}
          </Heading>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

/** What was pressed may be gone, or disabled, by what it did: then the focus stays near where it was. */
function stayNear(place: HTMLElement | undefined): void {
  // The dialog gives the focus back in the next frame.
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      if (document.activeElement !== document.body) return;
      (place?.isConnected ? place : document.getElementById("main"))?.focus({ preventScroll: true });
    }),
  );
}

/**
 * A button that asks first, with what will happen; a failure is said in the dialog. The focus begins on Cancel,
 * so that a second Enter does no harm. `typed` is a word to type before the act can be done.
 */
export function AskFirst<T>({
  word,
  title,
  children,
  act,
  small,
  danger,
  blocked,
  onDone,
  ready = true,
  typed,
}: {
  word: string;
  title: string;
  children: ReactNode;
  act: Act;
  small?: boolean;
  danger?: boolean;
  blocked?: string | undefined;
  onDone?: (answer: T) => void;
  ready?: boolean;
  typed?: string;
}) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const near = useRef<HTMLElement>(undefined);
  useEffect(() => (open ? () => stayNear(near.current) : undefined), [open]);
  const done = useAct<T>((answer) => {
    setOpen(false);
    onDone?.(answer);
  });
  const begin = ({ target }: { target: Element }) => {
    near.current = target.parentElement?.closest<HTMLElement>("[tabindex]") ?? undefined;
    setOpen(true);
  };
  const close = () => {
    setOpen(false);
    setText("");
    done.reset();
  };
  return (
    <>
      <Button look={danger ? "danger" : "ordinary"} small={small ?? false} blocked={blocked} onPress={begin}>
        {word}
      </Button>
      <Dialog title={title} isOpen={open} onClose={close}>
        {children}
        {typed && <Field label={`Type ${typed} to confirm`} value={text} autoComplete="off" onChange={(event) => setText(event.target.value)} />}
        {done.error && !needsStepUp(done.error) && <Failed error={done.error} />}
        <StepUp isOpen={needsStepUp(done.error)} onClose={() => done.reset()} onDone={() => done.mutate(act)} />
        <div className="row end">
          <Button autoFocus={!typed} onPress={close}>
            Cancel
          </Button>
          <Button
            look={danger ? "danger" : "primary"}
            isDisabled={!ready || (typed !== undefined && text !== typed)}
            isPending={done.isPending}
            onPress={() => done.mutate(act)}
          >
            {word}
          </Button>
        </div>
      </Dialog>
    </>
  );
}
