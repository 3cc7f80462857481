// The way on from an address that leads nowhere: the first pages of the door.
import { GoButton } from "./Button";

type Way = readonly [to: string, word: string];
let ways: readonly Way[] = [];

/** Told once by the door whose console this is. */
export function setWays(of: readonly Way[]): void {
  ways = of;
}

export function Ways() {
  return ways.map(([to, word]) => (
    <GoButton key={to} small to={to}>
      {word}
    </GoButton>
  ));
}
