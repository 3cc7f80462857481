// What every step of the wizard is given.
import type { Draft } from "./draft";

export interface StepProps {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

/** What is wrong with a field of the request, if anything. */
export type FieldErrors = (name: string) => string | undefined;
