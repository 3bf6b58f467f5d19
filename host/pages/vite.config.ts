// The build of the pages. Nothing is inlined: the content security policy of the pages allows no `data:` URLs.
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    reportCompressedSize: false,
  },
  // `npm run dev` serves the pages from their sources and sends requests of the API to a running `host serve`.
  server: { proxy: { "/api": { target: process.env.HOST_URL ?? "http://127.0.0.1:7700", changeOrigin: true } } },
});
