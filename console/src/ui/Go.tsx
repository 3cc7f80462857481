// Links and jumps inside the console, by plain addresses. A click with a modifier stays the browser's.
import { useRouter } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, MouseEvent, Ref } from "react";

/** Goes to an address of this console. */
export function useGo(): (href: string, how?: { replace?: boolean }) => void {
  const router = useRouter();
  return (href, { replace = false } = {}) => void router.navigate({ href, replace } as never);
}

export interface GoProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  to: string;
  ref?: Ref<HTMLAnchorElement>;
}

export function Go({ to, onClick, ...rest }: GoProps) {
  const go = useGo();
  const press = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return <a href={to} onClick={press} {...rest} />;
}
