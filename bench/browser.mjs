// What the measurements in a browser share: Chromium, and what a page tells about its frames and its long tasks.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../console/package.json", import.meta.url))("playwright-core");

export const world = JSON.parse(readFileSync(process.argv[2], "utf8"));
export const WITHIN = 120_000;

export const start = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });

export const say = (what, figures) => console.log(JSON.stringify({ what, ...figures }));

export const quantile = (values, share) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
};
export const median = (values) => quantile(values, 0.5);
export const round = (value) => Math.round(value * 10) / 10;

/** Runs in the page before anything of it: keeps long tasks and the largest paint. */
export const LISTEN = () => {
  window.told = { tasks: [], largest: 0 };
  new PerformanceObserver((list) => list.getEntries().forEach((one) => window.told.tasks.push([one.startTime, one.duration]))).observe({ type: "longtask", buffered: true });
  new PerformanceObserver((list) => list.getEntries().forEach((one) => (window.told.largest = one.startTime))).observe({ type: "largest-contentful-paint", buffered: true });
};
