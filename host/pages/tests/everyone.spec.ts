// The pages for everyone: dark, on a phone, in Portuguese, by keyboard, by screen reader.
import AxeBuilder from "@axe-core/playwright";
import { expect, figure, noSidewaysScroll, settled, test } from "./fixture.ts";

const PAGES = ["/", "/pipelines", "/pipelines/hubspot", "/models", "/changes", "/rejects", "/plugins"];

test("dark as the system is, and the other by the button, which is kept", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  expect(Number(/\d+/.exec(dark)?.[0])).toBeLessThan(60);
  await page.getByRole("button", { name: "Light theme" }).click();
  expect(Number(/\d+/.exec(await ground())?.[0])).toBeGreaterThan(200);
  await page.reload();
  expect(await ground()).not.toBe(dark);
});

test("on a phone no page scrolls sideways, and the menu leads to the others", async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const path of PAGES) {
    await page.goto(path);
    await expect(page.locator("h1")).toBeVisible();
    await settled(page);
    await noSidewaysScroll(page);
  }
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Models" }).click();
  await expect(page.getByRole("heading", { name: "Models" })).toBeVisible();
});

test("Portuguese by the browser's language, English by the button, numbers as each writes them", async ({
  browser,
  server,
}) => {
  const context = await browser.newContext({ locale: "pt-BR", baseURL: server.url });
  const page = await context.newPage();
  await page.goto("/");
  await expect(page.getByRole("link", { name: "Painel", exact: true })).toBeVisible();
  await expect(figure(page, "ltv_cac")).toHaveText(/^\d+,\d{2}$/);
  await expect(page.locator("html")).toHaveAttribute("lang", "pt-BR");
  await page.locator("#language").click();
  await expect(page.getByRole("link", { name: "Dashboard", exact: true })).toBeVisible();
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
  await context.close();
});

test("by keyboard alone: skip, filter, open a drill, stay in it, close it, and be back", async ({ page }) => {
  await page.goto("/");
  await settled(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  const channels = page.locator('[data-filter="channel"] .select');
  await channels.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await expect(page).toHaveURL(/channel=/);
  // The focus is still on the box, though the bar was drawn anew.
  await page.keyboard.press("Space");
  await expect(page).not.toHaveURL(/channel=/);
  await page.keyboard.press("Escape");
  await expect(channels).toBeFocused();
  await settled(page);
  const details = page.locator('[data-item="ltv"]').getByRole("button", { name: /^Details/ });
  await details.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  for (let press = 0; press < 12; press += 1) {
    await page.keyboard.press("Tab");
    const isOutside = await page.evaluate(() => {
      const at = document.activeElement;
      return at !== document.body && at?.closest("dialog") === null;
    });
    expect(isOutside, "the focus left the open dialog").toBe(false);
  }
  await dialog.getByRole("tab").first().focus();
  await page.keyboard.press("ArrowRight");
  await expect(dialog.getByRole("tab").nth(1)).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(details).toBeFocused();
});

for (const scheme of ["light", "dark"] as const) {
  test(`axe finds nothing serious on any page, ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    for (const path of PAGES) {
      await page.goto(path);
      await expect(page.locator("h1")).toBeVisible();
      await settled(page);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const found = serious.map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .map((node) => node.html)
            .slice(0, 3)
            .join(" ")}`,
      );
      expect(found, `${path}, ${scheme}`).toEqual([]);
    }
  });
}

test("axe finds nothing serious in an open drill", async ({ page }) => {
  await page.goto("/");
  await page
    .locator('[data-item="ltv"]')
    .getByRole("button", { name: /^Details/ })
    .click();
  await expect(page.getByRole("dialog").locator("tbody tr").first()).toBeVisible();
  const { violations } = await new AxeBuilder({ page }).include("dialog").analyze();
  expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id)).toEqual(
    [],
  );
});
