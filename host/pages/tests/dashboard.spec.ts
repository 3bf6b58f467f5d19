// Tests of the dashboard and the journal: load, filter, click on a mark, drill to a record, export, search.
import { readFileSync } from "node:fs";
import { expect, figure, settled, test } from "./fixture.ts";

test("the dashboard shows figures with trend, freshness and quality, and draws every chart", async ({ page }) => {
  await page.goto("/");
  await expect(figure(page, "ltv_cac")).toHaveText(/^\d+\.\d{2}$/);
  await settled(page);
  const card = page.locator('[data-item="ltv_cac"]');
  await expect(card.locator("svg.spark")).toBeVisible();
  await expect(card.locator(".quality time")).toHaveText(/^Updated /);
  await expect(card.locator(".quality")).toContainText("tests");
  await expect(page.locator('[data-item="ltv"] .figure-value')).toHaveText(/^R\$/);
  const charts = page.locator(".chart:not(.table)");
  expect(await charts.count()).toBeGreaterThan(2);
  for (const chart of await charts.all()) await expect(chart.locator("canvas, .empty")).toBeVisible();
});

test("a filter changes the figures and the address, and Back undoes it", async ({ page }) => {
  await page.goto("/");
  const before = await figure(page, "ltv").textContent();
  await page.getByRole("combobox", { name: "Horizon" }).selectOption("3");
  await expect(page).toHaveURL(/[?&]horizon=3/);
  await expect(figure(page, "ltv")).not.toHaveText(before ?? "");
  const after = (await figure(page, "ltv").textContent()) ?? "";
  await page.goBack();
  await expect(page).not.toHaveURL(/horizon=/);
  await expect(figure(page, "ltv")).toHaveText(before ?? "");
  await page.goForward();
  await expect(figure(page, "ltv")).toHaveText(after);
  // The address alone restores the filter.
  await page.reload();
  await expect(figure(page, "ltv")).toHaveText(after);
  await expect(page.getByRole("combobox", { name: "Horizon" })).toHaveValue("3");
});

test("a click on a mark filters the other cards, and its chip removes the filter", async ({ page }) => {
  await page.goto("/");
  await settled(page);
  const before = await figure(page, "ltv").textContent();
  const canvas = page.locator('[data-item="by_channel"] .chart-canvas');
  const box = await canvas.boundingBox();
  if (!box) throw new Error("the chart is not visible");
  // A point on the first bar, near its left end.
  await canvas.click({ position: { x: box.width * 0.4, y: 52 } });
  await expect(page).toHaveURL(/[?&]channel=\w+/);
  await expect(figure(page, "ltv")).not.toHaveText(before ?? "");
  await page.locator(".chip").first().click();
  await expect(page).not.toHaveURL(/channel=/);
  await expect(figure(page, "ltv")).toHaveText(before ?? "");
});

test("a figure opens its consultations, and a patient opens the corrections of its record", async ({ page }) => {
  await page.goto("/");
  await page
    .locator('[data-item="ltv_cac"]')
    .getByRole("button", { name: /^Details/ })
    .click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("tab", { name: "consultations" }).click();
  await expect(dialog.locator("tbody tr").first()).toBeVisible();
  const total = Number(
    (await dialog.locator(".pager").textContent())?.match(/([\d,]+) rows/)?.[1]?.replaceAll(",", ""),
  );
  expect(total).toBeGreaterThan(100);
  await dialog.getByRole("button", { name: "Next" }).click();
  await expect(dialog.locator(".pager")).toContainText("Page 2");
  await dialog.getByRole("tab", { name: "patients" }).click();
  const repaired = dialog.locator("tr", { has: page.locator(".repair-cell") }).first();
  await expect(repaired).toBeVisible();
  await repaired.locator(".repair-cell summary").click();
  await expect(repaired.locator(".repair").first()).toBeVisible();
  await repaired.locator("th button").click();
  const record = dialog.locator(".record");
  await expect(record.locator(".repair").first()).toBeVisible();
  await expect(record.locator("tr.differs ins").first()).toBeVisible();
  await dialog.getByRole("button", { name: /Back to the rows/ }).click();
  await expect(repaired).toBeVisible();
});

test("a row of a chart's table opens the drills of that row", async ({ page }) => {
  await page.goto("/");
  const card = page.locator('[data-item="by_channel"]');
  await card.getByRole("button", { name: /as a table/ }).click();
  const first = card.locator("tbody tr").first();
  const name = (await first.locator("th").textContent()) ?? "";
  await first.locator("th button").click();
  await expect(page.getByRole("dialog").locator(".drill-key")).toContainText(name);
});

test("a chart exports its rows as CSV and its picture as PNG", async ({ page }) => {
  await page.goto("/?horizon=6");
  await settled(page);
  const card = page.locator('[data-item="by_channel"]');
  const csv = page.waitForEvent("download");
  await card.getByRole("button", { name: /CSV$/ }).click();
  const text = readFileSync(await (await csv).path(), "utf8")
    .trim()
    .split(/\r?\n/);
  await card.getByRole("button", { name: /as a table/ }).click();
  expect(text.length - 1).toBe(await card.locator("tbody tr").count());
  expect(text[0]).toContain("channel");
  await card.getByRole("button", { name: /as a table/ }).click();
  await expect(card.locator("canvas")).toBeVisible();
  const png = page.waitForEvent("download");
  await card.getByRole("button", { name: /PNG$/ }).click();
  const picture = await png;
  expect(picture.suggestedFilename()).toMatch(/\.png$/);
  const bytes = readFileSync(await picture.path());
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  expect(bytes.length).toBeGreaterThan(5_000);
});

test("changes and rejects are listed and searched, and a row opens the history of its record", async ({ page }) => {
  await page.goto("/changes");
  await expect(page.locator("tbody tr").first()).toBeVisible();
  await page.getByLabel("Rule").fill("specialties");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/rule=specialties/);
  await expect(page.locator("tbody tr").first()).toContainText("specialties");
  await page.locator("tbody tr").first().locator("th button").click();
  await expect(page.getByRole("dialog").locator(".repair", { hasText: "specialties" }).first()).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("searchbox", { name: "Search" }).fill("no such thing at all");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page.getByText("No rows.")).toBeVisible();
  await page.goto("/rejects");
  await expect(page.getByRole("heading", { name: "Findings" })).toBeVisible();
});

test.describe("unknown addresses", () => {
  test.use({ expectedErrors: ["Failed to load resource"] });
  test("an unknown page and an unknown run show an error", async ({ page }) => {
    await page.goto("/nowhere");
    await expect(page.getByRole("alert")).toContainText("/nowhere");
    await page.goto("/runs/01NOSUCHRUN");
    await expect(page.getByRole("alert").locator(".problem-message")).not.toBeEmpty();
    await page.getByRole("link", { name: "Pipelines" }).click();
    await expect(page.getByRole("heading", { name: "Pipelines" })).toBeVisible();
  });
});
