// Tests of pipelines and runs, from an empty warehouse: run, progress, cancel, preview, models, plugins.
import { expect, figure, settled, test } from "./fixture.ts";

// The latency makes the run slow enough to observe its progress.
test.use({ options: { patients: 300, latency: 60, isLoaded: false } });
test.describe.configure({ mode: "serial" });

test("before the first run the pages show that there is no data", async ({ page, expectedErrors }) => {
  expectedErrors.push("Failed to load resource");
  await page.goto("/");
  await expect(page.locator("main")).toContainText(/no run|not|never/i);
  await page.goto("/pipelines");
  await expect(page.locator('[data-pipeline="hubspot"]')).toContainText("never");
});

test("a run shows its progress on its page and on the graph", async ({ page, context }) => {
  await page.goto("/pipelines");
  const graph = await context.newPage();
  await graph.goto("/pipelines/hubspot");
  await expect(graph.locator('[data-kind="stream"]').first()).toBeVisible();
  await page.getByRole("button", { name: "Run now…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run", exact: true }).click();
  await expect(page).toHaveURL(/\/runs\//);
  await expect(page.locator("h1 + .badge")).toHaveText("running");
  // The order of the streams is not fixed.
  await expect(page.locator(".progress li", { hasText: "Load: hubspot." }).first()).toBeVisible();
  await expect(graph.locator('.node[data-status="running"]').first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Cancel the run" })).toBeVisible();
  // The status arrives as an event, without a reload.
  await expect(page.locator("h1 + .badge")).toHaveText("succeeded", { timeout: 50_000 });
  await expect(page.locator("tbody tr", { hasText: "hubspot.deals" }).first()).toContainText(/\d/);
  await expect(page.getByRole("status").filter({ hasText: "hubspot: succeeded" })).toHaveCount(1);
  await expect(graph.locator(".title-line .badge")).not.toHaveText("running");
  await page.goto("/");
  await expect(figure(page, "ltv")).toHaveText(/^R\$/);
});

test("a full refresh can be cancelled, and the figures stay", async ({ page }) => {
  await page.goto("/pipelines/hubspot");
  await page.getByRole("button", { name: "Run now…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Full refresh").check();
  await dialog.getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.locator("h1 + .badge")).toHaveText("running");
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await expect(page.locator("h1 + .badge")).toHaveText("cancelled");
  await page.goto("/");
  await expect(figure(page, "ltv")).toHaveText(/^R\$/);
});

test("the preview of a rule shows values before and after, and links to its changes", async ({ page }) => {
  await page.goto("/pipelines/hubspot");
  await page.locator('[data-kind="rule"]', { hasText: "tidy_contacts" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Show 100 rows" }).click();
  await expect(dialog.locator("tbody tr del").first()).toBeVisible();
  await expect(dialog).toContainText("100 rows");
  await dialog.getByRole("link", { name: "Changes by this rule" }).click();
  await expect(page).toHaveURL(/\/changes\?stream=hubspot\.contacts&rule=tidy_contacts/);
  await expect(page.locator("tbody tr").first()).toContainText("tidy_contacts");
});

test("a model shows its columns and inputs, and a source shows the access that it requests", async ({ page }) => {
  await page.goto("/models");
  await page.locator('[data-node="marts.mart_ltv_cac"]').click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.locator("tbody tr", { hasText: "cac_blended" }).first()).toContainText(
    "spend_loaded / new_patients",
  );
  await dialog.getByRole("link", { name: "core.slice_patient" }).click();
  await expect(page.getByRole("dialog").getByRole("heading", { name: "core.slice_patient" })).toBeVisible();
  await page.goto("/plugins");
  await settled(page);
  await expect(page.locator(".card", { hasText: "hubspot" }).first()).toContainText("connection");
});
