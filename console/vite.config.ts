// Two bundles from one source, one a door: `vite build --mode console` and `vite build --mode operator`.
import react from "@vitejs/plugin-react";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Beside every script and style its gzip, so that the coordinator compresses nothing itself. */
const squeezed: Plugin = {
  name: "squeezed",
  apply: "build",
  // From the files as written: in the bundle, Vite's own marks may still stand.
  writeBundle({ dir = "" }, bundle) {
    for (const name of Object.keys(bundle)) {
      if (!/\.(js|css)$/.test(name)) continue;
      const file = join(dir, name);
      writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
    }
  },
};

export default defineConfig(({ mode }) => ({
  root: `doors/${mode}`,
  plugins: [react(), squeezed],
  build: {
    outDir: `../../dist/${mode}`,
    emptyOutDir: true,
    target: "es2023",
    // No inline script or data URL: the content security policy allows neither.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
}));
