// The build of the pages. Nothing is inlined: the content security policy of the pages allows no `data:` URLs.
import { defineConfig } from "vite";

// The address that `host serve` printed, with its token.
const server = new URL(process.env.HOST_URL ?? "http://127.0.0.1:7700");
const headers = { authorization: `Bearer ${server.searchParams.get("token") ?? ""}` };

export default defineConfig({
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    reportCompressedSize: false,
  },
  // `npm run dev` serves the pages from their sources and sends requests of the API to a running `host serve`.
  server: { proxy: { "/api": { target: server.origin, changeOrigin: true, headers } } },
});
