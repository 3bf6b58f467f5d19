// Tests of failures: a run that fails, requests from other sites, a server that stops.
import { expect, figure, settled, test } from "./fixture.ts";

// The run that fills the warehouse uses the sandbox's token; only the server gets the revoked one.
test.use({ options: { patients: 200, environment: { HUBSPOT_ACCESS_TOKEN: "pat-revoked" } } });
test.describe.configure({ mode: "serial" });

test("a failed run shows its reason and a hint, and the last figures stay", async ({ page }) => {
  await page.goto("/");
  const before = await figure(page, "ltv").textContent();
  await page.goto("/pipelines");
  await page.getByRole("button", { name: "Run now…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.locator("h1 + .badge")).toHaveText("failed", { timeout: 50_000 });
  const problem = page.getByRole("alert").filter({ has: page.locator(".problem-message") });
  await expect(problem).toContainText(/401|token/i);
  await expect(problem.locator(".problem-hint")).not.toBeEmpty();
  await page.goto("/pipelines");
  await expect(page.locator(".runs tbody tr").first()).toContainText("failed");
  await page.goto("/");
  await expect(figure(page, "ltv")).toHaveText(before ?? "");
});

test("a request from another site starts no run", async ({ request, server }) => {
  const startRun = (headers: Record<string, string>) =>
    request.post(`${server.url}/api/pipelines/hubspot/runs`, { headers: { Origin: server.url, ...headers }, data: {} });
  expect((await startRun({})).status(), "without the X-Requested-With header").toBe(403);
  const otherSite = await startRun({ Origin: "https://elsewhere.example", "X-Requested-With": "host" });
  expect(otherSite.status(), "from another origin").toBe(403);
});

test("a stopped server shows a banner, and the data that was read stays", async ({ page, server, expectedErrors }) => {
  expectedErrors.push("net::ERR_", "Failed to load resource");
  await page.goto("/");
  await settled(page);
  const before = await figure(page, "ltv").textContent();
  await server.stop();
  await expect(page.locator(".banner")).toBeVisible();
  await expect(figure(page, "ltv")).toHaveText(before ?? "");
  await page.getByRole("link", { name: "Changes" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "Try again" })).toContainText("host serve");
});
