// One browser for all tests; a visit (a context of its own, with a list of what went wrong in it)
// for each. What a browser complains about fails the test, whether or not the test looked there.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";

import { chromium } from "playwright-core";

/** Where the demo answers. */
export const base = process.env.APPLIANCE_URL;
assert.ok(base, "APPLIANCE_URL is not set; `tests/browser/run BINARY` sets it");

const screenshots = process.env.SCREENSHOTS;
export const settings = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

let browser;
before(async () => {
  if (screenshots) mkdirSync(screenshots, { recursive: true });
  browser = await chromium.launch(settings);
});
after(() => browser?.close());

/**
 * Runs `test` with a page of its own. `expected` are patterns of complaints that belong to the
 * test: each of them must turn up, and nothing else may.
 */
export function visit(test, { expected = [], ...options } = {}) {
  return async () => {
    const context = await browser.newContext({
      baseURL: base,
      viewport: { width: 1280, height: 800 },
      reducedMotion: "reduce",
      ...options,
    });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const complaints = [];
    listen(page, complaints);
    try {
      await test(page, context);
      await page.waitForLoadState("load");
    } finally {
      // What closing the page cancels is nobody's fault.
      page.removeAllListeners();
      await context.close();
    }
    for (const pattern of expected) {
      assert.ok(complaints.some((text) => pattern.test(text)), `nothing matched ${pattern}`);
    }
    const rest = complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
    assert.deepEqual(rest, [], "the browser complained");
  };
}

function listen(page, complaints) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      complaints.push(`console: ${message.text()} (${message.location().url})`);
    }
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.stack}`));
  page.on("requestfailed", (request) => {
    complaints.push(`failed: ${request.method()} ${request.url()} ${request.failure().errorText}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`answer: ${response.status()} ${response.url()}`);
  });
}

/** Keeps a picture when SCREENSHOTS names a folder. */
export async function picture(page, name) {
  if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`) });
}
