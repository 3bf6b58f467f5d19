// The browser tests: one after the other against a real `host serve`, in the browser that CHROMIUM names.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  // No retries: a test that passes only on a retry is unreliable.
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    locale: "en-US",
    timezoneId: "America/Sao_Paulo",
    viewport: { width: 1280, height: 860 },
    screenshot: "only-on-failure",
    launchOptions: {
      ...(process.env.CHROMIUM ? { executablePath: process.env.CHROMIUM } : {}),
      // Root needs --no-sandbox; the other flags stop Chromium's own network requests.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "tests", testMatch: /.*\.spec\.ts/ },
    { name: "screenshots", testMatch: /screenshots\.ts/ },
  ],
});
