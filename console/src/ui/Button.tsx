// A button that says why when it cannot be pressed.
import { useId } from "react";
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from "react-aria-components";
import { Go, type GoProps } from "./Go";

type Look = "primary" | "danger" | "plain" | "ordinary";

export interface ButtonProps extends AriaButtonProps {
  look?: Look;
  small?: boolean;
  /** Why it cannot be pressed now; said in text beside the button, and disables it. */
  blocked?: string | undefined;
}

export function Button({ look = "ordinary", small, blocked, isDisabled, ...rest }: ButtonProps) {
  const reason = useId();
  const button = (
    <AriaButton
      {...rest}
      {...(blocked ? { "aria-describedby": reason } : {})}
      isDisabled={Boolean(isDisabled || blocked)}
      className={`button ${look} ${small ? "small" : ""}`}
    />
  );
  if (!blocked) return button;
  return (
    <span className="row tight">
      {button}
      <span id={reason} className="hint">
        {blocked}
      </span>
    </span>
  );
}

/** A link that looks like a button, because it is the next thing to do. */
export function GoButton({ look = "ordinary", small, ...rest }: GoProps & { look?: Look; small?: boolean }) {
  return <Go {...rest} className={`button ${look} ${small ? "small" : ""}`} />;
}
