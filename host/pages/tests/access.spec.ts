// Tests of access: the address with the token, links of other sites, a browser without the token.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, settled, test } from "./fixture.ts";

// A browser that has not opened the address yet.
test.use({ storageState: { cookies: [], origins: [] }, options: { patients: 50 } });

test("the printed address opens the pages, and the token leaves the address and the history", async ({
  page,
  server,
}) => {
  await page.goto(server.address);
  await settled(page);
  expect(page.url()).toBe(`${server.url}/`);
  await page.reload();
  await settled(page);
  await page.goto(server.address.replace("/?", "/changes?stream=hubspot.contacts&"));
  await expect(page).toHaveURL(`${server.url}/changes?stream=hubspot.contacts`);
  await expect(page.locator("tbody tr").first()).toBeVisible();
  await page.goBack();
  await expect(page).toHaveURL(`${server.url}/`);
  expect(await page.evaluate(() => document.cookie)).toBe("");
});

test("without the token a page says in both languages how to open it", async ({ page, server, expectedErrors }) => {
  expectedErrors.push("Failed to load resource");
  for (const path of ["/", "/runs/01", "/?token=wrong"]) {
    const response = await page.goto(path);
    expect(response?.status()).toBe(401);
    await expect(page.getByRole("heading", { name: "Open these pages with their full address" })).toBeVisible();
    await expect(page.getByRole("heading", { name: "Abra estas páginas com o endereço completo" })).toBeVisible();
    await expect(page.locator("code", { hasText: `${server.url}/?token=…` })).toHaveCount(2);
  }
});

test("a link of another site opens a page for a browser that has access", async ({ page, server, expectedErrors }) => {
  const site = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<a id="page" href="${server.url}/changes">page</a> <a id="all" href="${server.address}">address</a>`);
  });
  await new Promise<void>((done) => site.listen(0, "localhost", done));
  const elsewhere = `http://localhost:${(site.address() as AddressInfo).port}`;
  try {
    await page.goto(elsewhere);
    await page.locator("#all").click();
    await settled(page);
    expect(page.url()).toBe(`${server.url}/`);
    await page.goto(elsewhere);
    await page.locator("#page").click();
    await expect(page.locator("tbody tr").first()).toBeVisible();
    await page.reload();
    await expect(page.locator("tbody tr").first()).toBeVisible();
    // Without access the page says so.
    expectedErrors.push("Failed to load resource");
    await page.context().clearCookies();
    await page.goto(elsewhere);
    await page.locator("#page").click();
    await expect(page.locator("main").getByRole("alert")).toContainText("token=");
    await expect(page.locator(".banner")).toContainText("no longer accepts this page");
  } finally {
    site.close();
  }
});
