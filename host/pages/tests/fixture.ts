// What every browser test stands on: one server for a file's tests, and a page that may break nothing.
import { test as base, expect, type Page } from "@playwright/test";
import { type Server, type ServerOptions, startServer } from "./server.ts";

interface Each {
  /** Messages of the console that a test provokes, as parts of their texts. */
  expected: string[];
}

interface Shared {
  options: ServerOptions;
  server: Server;
}

export const test = base.extend<Each, Shared>({
  options: [{}, { scope: "worker", option: true }],
  server: [
    async ({ options }, use) => {
      const server = process.env.PAGES_URL
        ? { url: process.env.PAGES_URL, stop: async () => {}, said: () => "" }
        : await startServer(options);
      await use(server);
      await server.stop();
    },
    { scope: "worker", timeout: 180_000 },
  ],
  expected: [[], { option: true }],
  baseURL: async ({ server }, use) => use(server.url),
  page: async ({ page, expected }, use) => {
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(error.stack || String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" || /Content.Security.Policy/i.test(message.text())) wrong.push(message.text());
    });
    await use(page);
    const unexpected = wrong.filter((text) => !expected.some((part) => text.includes(part)));
    expect(unexpected, "errors in the browser's console").toEqual([]);
  },
});

export { expect };

/** The big number of a figure. */
export function figure(page: Page, name: string) {
  return page.locator(`[data-item="${name}"] .figure-value`);
}

/** Waits until nothing on the page is being read any more. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator("main h1")).toBeVisible();
  await expect(page.locator('main [aria-busy="true"]')).toHaveCount(0);
}

/** Fails where the page is wider than its window. */
export async function noSidewaysScroll(page: Page): Promise<void> {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(over, "pixels that the page is too wide").toBeLessThanOrEqual(0);
}
