// How the pages are bundled: hashed assets, nothing inlined (the pages' content security policy allows no data: URLs).
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    reportCompressedSize: false,
  },
  // `npm run dev` shows the pages of the sources beside a running `host serve`.
  server: { proxy: { "/api": { target: process.env.HOST_URL ?? "http://127.0.0.1:7700", changeOrigin: true } } },
});
