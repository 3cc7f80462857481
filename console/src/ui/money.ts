// Amounts of money: whole minor units of a currency of ISO 4217 in, words for people out, and back.

/** Digits of the minor unit by the standard, which browsers follow for some currencies only; two for all others. */
const DIGITS: [digits: number, codes: string][] = [
  [0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"],
  [3, "BHD IQD JOD KWD LYD OMR TND"],
];

export function digitsOf(currency: string): number {
  return DIGITS.find(([, codes]) => codes.includes(currency))?.[0] ?? 2;
}

export function sayMoney(minor: number, currency: string): string {
  const digits = digitsOf(currency);
  const words = new Intl.NumberFormat(undefined, { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits });
  return words.format(minor / 10 ** digits);
}

export function sayPerHour(minor: number, currency: string): string {
  return `${sayMoney(minor, currency)} per hour`;
}

/** Minor units from what a person wrote, such as 2.49; undefined when that is no amount of the currency. */
export function minorOf(text: string, currency: string): number | undefined {
  const digits = digitsOf(currency);
  const found = /^(\d{1,15})(?:\.(\d+))?$/.exec(text.trim());
  const part = (found?.[2] ?? "").replace(/0+$/, "");
  if (!found || part.length > digits) return undefined;
  const minor = Number(`${found[1]}${part.padEnd(digits, "0")}`);
  return Number.isSafeInteger(minor) ? minor : undefined;
}
