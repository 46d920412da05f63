// `appliance dev`: what is saved is on the page, from Vite and from the application, at one origin.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { picture, visit } from "./site.js";

const limit = { timeout: 90_000 };
const demo = process.env.DEMO;
assert.ok(demo, "DEMO is not set; `tests/browser/run BINARY` sets it");

/** Saves a file with `before` replaced. */
async function edit(file, before, after) {
  const path = join(demo, file);
  const text = await readFile(path, "utf8");
  assert.ok(text.includes(before), `${file} has no ${before}`);
  await writeFile(path, text.replace(before, after));
}

/** Asks for `path` until the answer is one that `is` right. */
async function answer(context, path, is) {
  const until = Date.now() + 30_000;
  for (;;) {
    const response = await context.request.get(path, { headers: { accept: "text/html" } });
    const text = await response.text();
    if (is(response.status(), text)) return text;
    assert.ok(Date.now() < until, `${path} still answers ${response.status()}: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("a saved component is on the page, which is not loaded again", limit, visit(async (page) => {
  await page.goto("/shelf");
  await page.getByRole("link", { name: "Lantern Lane" }).waitFor();
  await page.evaluate(() => { window.mark = "the same page"; });
  await edit("frontend/src/App.vue", "Lantern Lane", "Lantern Lane, edited");
  await page.getByRole("link", { name: "Lantern Lane, edited" }).waitFor();
  assert.equal(await page.evaluate(() => window.mark), "the same page");
}));

test("a saved module of Python answers, and a broken one shows where", limit, visit(async (page, context) => {
  const file = "backend/board/engine.py";
  const [before, after] = ['JsonResponse({"pid"', 'JsonResponse({"edited": True, "pid"'];
  await page.goto("/");
  await edit(file, before, after);
  await answer(context, "/api/ping", (status, text) => status === 200 && text.includes("edited"));
  await edit(file, after, `broken(: ${after}`);
  const shown = await answer(context, "/api/ping", (status) => status === 500);
  assert.match(shown, /SyntaxError/);
  await page.goto("/api/ping");
  await page.getByRole("heading", { name: /SyntaxError/ }).first().waitFor();
  await picture(page, "traceback");
  await edit(file, `broken(: ${after}`, after);
  await answer(context, "/api/ping", (status) => status === 200);
}, { expected: [/answer: 500 .*\/api\/ping/, /console: .*500/] }));
