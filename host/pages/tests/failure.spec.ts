// What goes wrong is said: a run that fails, and a server that is gone.
import { expect, figure, test } from "./fixture.ts";

// The warehouse was filled before the token was revoked.
test.use({ options: { patients: 200, environment: { HUBSPOT_ACCESS_TOKEN: "pat-revoked" } } });
test.describe.configure({ mode: "serial" });

test("a run fails, the page says why and what to do, and the last figures stay", async ({ page }) => {
  await page.goto("/");
  const before = await figure(page, "ltv").textContent();
  await page.goto("/pipelines");
  await page.getByRole("button", { name: "Run now…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.locator("h1 + .badge")).toHaveText("failed", { timeout: 50_000 });
  const why = page.getByRole("alert").filter({ has: page.locator(".problem-message") });
  await expect(why).toContainText(/401|token/i);
  await expect(why.locator(".problem-hint")).not.toBeEmpty();
  await page.goto("/pipelines");
  await expect(page.locator(".runs tbody tr").first()).toContainText("failed");
  await page.goto("/");
  await expect(figure(page, "ltv")).toHaveText(before ?? "");
});

test("a request from elsewhere runs nothing", async ({ request, server }) => {
  const ask = (headers: Record<string, string>) =>
    request.post(`${server.url}/api/pipelines/hubspot/runs`, { headers: { Origin: server.url, ...headers }, data: {} });
  expect((await ask({})).status(), "without the header of the pages").toBe(403);
  const elsewhere = await ask({ Origin: "https://elsewhere.example", "X-Requested-With": "host" });
  expect(elsewhere.status(), "from another site").toBe(403);
});

test("a server that is gone is said so, and what was read stays", async ({ page, server, expected }) => {
  expected.push("net::ERR_", "Failed to load resource");
  await page.goto("/");
  const before = await figure(page, "ltv").textContent();
  await server.stop();
  await expect(page.locator(".banner")).toBeVisible();
  await expect(figure(page, "ltv")).toHaveText(before ?? "");
  await page.getByRole("link", { name: "Changes" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "Try again" })).toContainText("host serve");
});
