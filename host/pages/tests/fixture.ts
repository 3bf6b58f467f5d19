// The fixtures of the browser tests: one server for the tests of a file, and a page that fails on console errors.
import { test as base, expect, type Page } from "@playwright/test";
import { type Server, type ServerOptions, startServer } from "./server.ts";

interface TestFixtures {
  /** Parts of the console errors that the test causes. */
  expectedErrors: string[];
}

interface WorkerFixtures {
  options: ServerOptions;
  server: Server;
}

/** A server that runs already, by the address that it printed. */
function givenServer(address: string): Server {
  return { url: new URL(address).origin, address, stop: async () => {}, output: () => "" };
}

/** The state of a browser that opened the address of the server. */
export function admitted({ address }: Server) {
  const { hostname, port, searchParams } = new URL(address);
  const cookie = {
    name: `host-${port}`,
    value: searchParams.get("token") ?? "",
    domain: hostname,
    path: "/",
    expires: -1,
    httpOnly: true,
    secure: false,
    sameSite: "Strict" as const,
  };
  return { cookies: [cookie], origins: [] };
}

export const test = base.extend<TestFixtures, WorkerFixtures>({
  options: [{}, { scope: "worker", option: true }],
  server: [
    async ({ options }, use) => {
      const server = process.env.PAGES_URL ? givenServer(process.env.PAGES_URL) : await startServer(options);
      await use(server);
      await server.stop();
    },
    { scope: "worker", timeout: 180_000 },
  ],
  expectedErrors: [[], { option: true }],
  baseURL: async ({ server }, use) => use(server.url),
  storageState: async ({ server }, use) => use(admitted(server)),
  page: async ({ page, expectedErrors }, use) => {
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.stack || String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" || /Content.Security.Policy/i.test(message.text())) errors.push(message.text());
    });
    await use(page);
    const unexpected = errors.filter((text) => !expectedErrors.some((part) => text.includes(part)));
    expect(unexpected, "errors in the browser's console").toEqual([]);
  },
});

export { expect };

/** The value of a figure. */
export function figure(page: Page, name: string) {
  return page.locator(`[data-item="${name}"] .figure-value`);
}

/** Waits until the page has read all its data. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator("main h1")).toBeVisible();
  await expect(page.locator('main [aria-busy="true"]')).toHaveCount(0);
}

/** Fails if the page is wider than its window. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(excess, "pixels by which the page is wider than the window").toBeLessThanOrEqual(0);
}
