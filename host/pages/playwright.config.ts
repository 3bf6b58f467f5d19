// How the browser tests run: the browser of CHROMIUM, one at a time, against a real `host serve`.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  // A test that passes the second time has failed the first.
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
      // No sandbox for root, and none of Chromium's own calls home.
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
