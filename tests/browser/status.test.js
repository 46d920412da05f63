// The status page of the admin listener: live, harmless, readable in every window.

import assert from "node:assert/strict";
import { test } from "node:test";

import { base, picture, visit } from "./site.js";

const limit = { timeout: 90_000 };
const admin = process.env.APPLIANCE_ADMIN_URL;
assert.ok(admin, "APPLIANCE_ADMIN_URL is not set; `tests/browser/run BINARY` sets it");

/** The body of the table with this caption's section. */
const rows = (page, name) => page.getByRole("region", { name }).locator("tbody tr");

test("the page follows the server under its own policy", limit, visit(async (page, context) => {
  const response = await page.goto(admin);
  const policy = response.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'.*script-src 'nonce-[0-9a-f]{32}'/);
  assert.doesNotMatch(policy, /unsafe/);
  await page.getByRole("heading", { level: 1, name: "project.toml" }).waitFor();
  await rows(page, "Workers").filter({ hasText: "serving" }).first().waitFor();

  // The check-up streams for a second: one of the answers must have it.
  let ends = false;
  const asking = (async () => {
    while (!ends) await context.request.get(`${base}/api/checkup`);
  })();
  try {
    const row = rows(page, "Running requests").filter({ hasText: "/api/checkup" });
    await row.filter({ hasText: /\.py:\d+ \w+/ }).first().waitFor();
    await page.waitForFunction(() => document.querySelector("#graph-requests polyline")?.getAttribute("points").split(" ").length > 2);
    assert.notEqual(await page.locator("#requests-rate").textContent(), "–");
    await picture(page, "status");
  } finally {
    ends = true;
    await asking;
  }
}));

test("an answer that does not come is told of, and the next one clears it", limit, visit(async (page, context) => {
  await page.goto(admin);
  await rows(page, "Workers").filter({ hasText: "serving" }).first().waitFor();
  await context.setOffline(true);
  await page.getByText(/The server stopped answering \d+ s ago/).waitFor();
  await context.setOffline(false);
  await page.getByText("The server stopped answering").waitFor({ state: "hidden" });
}, { expected: [/status\?requests/] }));

test("nothing is asked while nobody sees the page", limit, visit(async (page) => {
  let asked = 0;
  page.on("request", () => asked++);
  await page.addInitScript(() => {
    window.away = false;
    Object.defineProperty(Document.prototype, "hidden", { get: () => window.away });
  });
  const turn = (away) => page.evaluate((away) => {
    window.away = away;
    document.dispatchEvent(new Event("visibilitychange"));
  }, away);
  await page.goto(admin);
  await rows(page, "Workers").filter({ hasText: "serving" }).first().waitFor();
  await turn(true);
  await page.waitForTimeout(500);
  const before = asked;
  await page.waitForTimeout(3000);
  assert.equal(asked, before);
  const answer = page.waitForResponse(/status\?requests/);
  await turn(false);
  await answer;
}));

for (const width of [360, 1280]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`it fits ${width} pixels in ${colorScheme}`, limit, visit(async (page) => {
      await page.goto(admin);
      await rows(page, "Workers").filter({ hasText: "serving" }).first().waitFor();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${over} pixels too wide`);
      assert.equal(await page.getByRole("table").count(), 2);
      assert.equal(await page.locator("table > caption").count(), 2);
      assert.equal(await page.locator("thead th:not([scope=col])").count(), 0);
      await picture(page, `status-${width}-${colorScheme}`);
    }, { viewport: { width, height: 900 }, colorScheme }));
  }
}
