// What is different over https, by an authority that the browser was told to trust; demo.test.js runs
// there as well.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chromium } from "playwright-core";

import { base, picture, settings, visit } from "./site.js";

const limit = { timeout: 90_000 };
const plain = process.env.APPLIANCE_PLAIN_URL;
assert.ok(plain, "APPLIANCE_PLAIN_URL is not set; `tests/browser/run BINARY` sets it");

test("a plain address leads to https, and there is HTTP/2", limit, visit(async (page) => {
  const response = await page.goto(`${plain}/notes/1?from=plain`);
  assert.equal(response.status(), 200);
  assert.equal(page.url(), `${base}/notes/1?from=plain`);
  const redirected = await response.request().redirectedFrom().response();
  assert.equal(redirected.status(), 301);
  assert.equal((await response.allHeaders())["strict-transport-security"], "max-age=86400");
  const details = await response.securityDetails();
  assert.deepEqual([details.subjectName, details.protocol], ["localhost", "TLS 1.3"]);
  assert.equal(details.issuer, "the browser test's authority");

  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.equal(await page.evaluate(() => isSecureContext), true);
  const protocols = await page.evaluate(() =>
    ["navigation", "resource"].flatMap((kind) =>
      performance.getEntriesByType(kind).map(({ name, nextHopProtocol }) => [name, nextHopProtocol]),
    ),
  );
  assert.ok(protocols.length >= 4, JSON.stringify(protocols));
  for (const [name, protocol] of protocols) assert.equal(protocol, "h2", name);
  await picture(page, "https");
}));

test("cookies are for https alone, and Django's check of the origin lets the site through", limit, visit(async (page, context) => {
  await page.goto("/admin/");
  await page.getByLabel("Username:").fill("admin");
  await page.getByLabel("Password:").fill("appliance");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "The caretaker's desk" }).waitFor();
  await page.waitForLoadState("load");
  const cookies = await context.cookies();
  const flags = Object.fromEntries(cookies.map(({ name, secure, httpOnly }) => [name, [secure, httpOnly]]));
  assert.deepEqual(flags.sessionid, [true, true], JSON.stringify(cookies));
  assert.deepEqual(flags.csrftoken?.[0], true, JSON.stringify(cookies));
  assert.doesNotMatch(await page.evaluate(() => document.cookie), /sessionid/);
}));

test("a script of another origin is turned away by Django, the form of the site is not", limit, visit(async (page, context) => {
  await page.goto("/", { waitUntil: "networkidle" });
  assert.equal((await context.request.get("/api/session")).status(), 200);
  const { value: token } = (await context.cookies()).find(({ name }) => name === "csrftoken");
  const headers = { "X-CSRFToken": token, Referer: `${base}/` };
  for (const [origin, status] of [["https://evil.test", 403], [base.replace("https:", "http:"), 403], [base, 400]]) {
    // Without its fields it is refused as a note, by whoever lets it come so far.
    const answer = await context.request.post("/api/notes", { headers: { ...headers, Origin: origin }, data: {} });
    assert.equal(answer.status(), status, origin);
  }
}));

test("a browser that was not told to trust the authority does not", limit, async () => {
  const env = { ...process.env, HOME: process.env.STRANGER };
  const browser = await chromium.launch({ ...settings, env });
  try {
    const page = await browser.newPage();
    await assert.rejects(page.goto(base), /ERR_CERT_AUTHORITY_INVALID/);
  } finally {
    await browser.close();
  }
});
