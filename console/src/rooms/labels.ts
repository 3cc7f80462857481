// Labels as people type them: one a line, a key, an equals sign and a value.

export function linesOf(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join("\n");
}

/** Undefined if a line is no label. */
export function labelsOf(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  for (const line of text.split("\n").map((one) => one.trim())) {
    if (!line) continue;
    const cut = line.indexOf("=");
    if (cut < 1) return undefined;
    labels[line.slice(0, cut).trim()] = line.slice(cut + 1).trim();
  }
  return labels;
}
