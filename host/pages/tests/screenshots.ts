// Takes the screenshots of the README from a real server, into `screenshots/`.
import { expect, settled, test } from "./fixture.ts";

test.use({ options: { patients: 2000 }, viewport: { width: 1280, height: 800 } });

const SHOTS: [name: string, path: string, scheme: "light" | "dark"][] = [
  ["dashboard", "/", "light"],
  ["dashboard-dark", "/?channel=google_ads", "dark"],
  ["pipeline", "/pipelines/hubspot", "light"],
];

for (const [name, path, scheme] of SHOTS) {
  test(name, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    await page.goto(path);
    await expect(page.locator("h1")).toBeVisible();
    await settled(page);
    await page.screenshot({ path: `screenshots/${name}.png` });
  });
}

test("drill", async ({ page }) => {
  await page.goto("/");
  await page
    .locator('[data-item="ltv_cac"]')
    .getByRole("button", { name: /^Details/ })
    .click();
  const repaired = page.getByRole("dialog").locator(".repair-cell").first();
  await repaired.locator("summary").click();
  await page.screenshot({ path: "screenshots/drill.png" });
});

test("phone", async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto("/");
  await settled(page);
  await page.screenshot({ path: "screenshots/phone.png" });
});
