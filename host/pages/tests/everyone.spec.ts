// Tests of themes, phone layout, languages, keyboard use and accessibility on all pages.
import AxeBuilder from "@axe-core/playwright";
import { expect, expectNoSidewaysScroll, figure, settled, test } from "./fixture.ts";

const PAGES = ["/", "/pipelines", "/pipelines/hubspot", "/models", "/changes", "/rejects", "/plugins"];

test("the theme follows the system until the button selects one, which a reload keeps", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/");
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  expect(Number(/\d+/.exec(dark)?.[0])).toBeLessThan(60);
  await page.getByRole("button", { name: "Light theme" }).click();
  expect(Number(/\d+/.exec(await background())?.[0])).toBeGreaterThan(200);
  await page.reload();
  expect(await background()).not.toBe(dark);
});

test("on a phone no page scrolls sideways, and the menu opens other pages", async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const path of PAGES) {
    await page.goto(path);
    await expect(page.locator("h1")).toBeVisible();
    await settled(page);
    await expectNoSidewaysScroll(page);
  }
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Models" }).click();
  await expect(page.getByRole("heading", { name: "Models" })).toBeVisible();
});

test("the browser's language selects Portuguese with its number format, and the button selects English", async ({
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

test("the keyboard alone sets a filter, and opens, uses and closes a drill", async ({ page }) => {
  await page.goto("/");
  await settled(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  const channels = page.locator('[data-filter="channel"] .select');
  await channels.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await expect(page).toHaveURL(/channel=/);
  // The bar was drawn again and kept the focus on the checkbox.
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
      const focused = document.activeElement;
      return focused !== document.body && focused?.closest("dialog") === null;
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
  test(`axe finds no serious problem on any page, ${scheme} theme`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    for (const path of PAGES) {
      await page.goto(path);
      await expect(page.locator("h1")).toBeVisible();
      await settled(page);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const problems = serious.map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .map((node) => node.html)
            .slice(0, 3)
            .join(" ")}`,
      );
      expect(problems, `${path}, ${scheme}`).toEqual([]);
    }
  });
}

test("axe finds no serious problem in an open drill", async ({ page }) => {
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
