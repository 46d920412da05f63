// The demo as a visitor meets it: Chromium, the real binary, config/demo.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { base, picture, visit } from "./site.js";

const limit = { timeout: 90_000 };
const sha256 = (content) => createHash("sha256").update(content).digest("hex");
const heading = (page, name) => page.getByRole("heading", { level: 1, name });

test("the board opens with its notes", limit, visit(async (page) => {
  const response = await page.goto("/");
  assert.equal(response.status(), 200);
  assert.match(response.headers()["content-type"], /^text\/html/);
  await heading(page, "What the lane is talking about").waitFor();
  await page.getByRole("link", { name: "Street party on Saturday" }).waitFor();
  assert.ok((await page.getByRole("article").count()) >= 9);
  await picture(page, "board");
}));

test("a client-side route survives a reload", limit, visit(async (page) => {
  await page.goto("/");
  await page.evaluate(() => (window.same = true));
  await page.getByRole("link", { name: "Welcome to the board" }).click();
  await heading(page, "Welcome to the board").waitFor();
  assert.match(page.url(), /\/notes\/\d+$/);
  assert.equal(await page.evaluate(() => window.same), true, "the link loaded a new document");

  const response = await page.reload();
  assert.equal(response.status(), 200);
  assert.match(response.headers()["content-type"], /^text\/html/);
  await heading(page, "Welcome to the board").waitFor();
  assert.equal(await page.evaluate(() => window.same), undefined, "nothing was reloaded");
  await picture(page, "note");
}));

test("an unknown page is the front's to tell", limit, visit(async (page) => {
  const response = await page.goto("/nobody/lives/here");
  assert.equal(response.status(), 200);
  await heading(page, "Nobody home").waitFor();
  await page.getByRole("link", { name: "Back to the board" }).click();
  await heading(page, "What the lane is talking about").waitFor();
}));

test("a missing script, style, image or map is a 404 and not the page", limit, visit(async (page, context) => {
  const names = ["assets/index-0lder8ui.js", "assets/index-0lder8ui.css", "logo.png", "assets/index.js.map"];
  for (const name of names) {
    const response = await context.request.get(`/${name}`, { headers: { Accept: "*/*" } });
    assert.equal(response.status(), 404, name);
    assert.doesNotMatch(await response.text(), /id="app"/, name);
  }
}));

test(
  "a missing script fails in the browser, too",
  limit,
  visit(
    async (page) => {
      await page.goto("/");
      const loaded = await page.evaluate(
        () =>
          new Promise((resolve) => {
            const script = document.createElement("script");
            script.src = "/assets/gone-0lder8ui.js";
            script.onload = () => resolve(true);
            script.onerror = () => resolve(false);
            document.head.append(script);
          }),
      );
      assert.equal(loaded, false);
    },
    { expected: [/^answer: 404 .*gone-0lder8ui\.js$/, /gone-0lder8ui\.js/] },
  ),
);

test(
  "a note is pinned, thanked and taken down through the API",
  limit,
  visit(
    async (page, context) => {
      const title = 'Grüße & <b>"quotes"</b> ✨';
      await page.goto("/notes/new");
      await page.getByRole("button", { name: "Pin it" }).click();
      await page.getByText("This field is required.").first().waitFor();

      await page.getByLabel("Asking").check();
      await page.getByLabel("Title", { exact: true }).fill(title);
      await page.getByLabel("Note", { exact: true }).fill("One line\nand another.");
      await page.getByLabel("Your name and house").fill("Zoë, no. 3");
      assert.equal(await page.getByText("This field is required.").count(), 0);
      await picture(page, "compose");
      await page.getByRole("button", { name: "Pin it" }).click();
      await heading(page, title).waitFor();

      await page.getByRole("button", { name: "Say thanks · 0" }).click();
      await page.getByRole("button", { name: "You said thanks · 1" }).waitFor();
      await page.reload();
      await page.getByRole("button", { name: "You said thanks · 1" }).waitFor();

      // The visitor's own cookies, but no token: Django must see both as they were sent.
      const { pathname } = new URL(page.url());
      const forged = await context.request.delete(`/api${pathname}`);
      assert.equal(forged.status(), 403);

      await page.goto("/?q=gr%C3%BC%C3%9Fe");
      await page.getByRole("link", { name: title }).click();
      await page.getByRole("button", { name: "Take it down" }).click();
      await heading(page, "What the lane is talking about").waitFor();
      const gone = await context.request.get(`/api${pathname}`);
      assert.equal(gone.status(), 404);
    },
    { expected: [/^answer: 400 .*\/api\/notes$/, /^console: .*400.*\/api\/notes/] },
  ),
);

test("a streamed response arrives line by line", limit, visit(async (page) => {
  await page.goto("/checkup");
  const arrivals = await page.evaluate(async () => {
    const started = performance.now();
    const reader = (await fetch("/api/checkup")).body.getReader();
    const times = [];
    while (!(await reader.read()).done) times.push(performance.now() - started);
    return times;
  });
  assert.ok(arrivals.length >= 4, `everything came in ${arrivals.length} pieces`);
  const spread = arrivals.at(-1) - arrivals[0];
  assert.ok(spread > 700, `everything came within ${spread} ms, the application takes a second`);

  await page.getByRole("button", { name: "Start the check-up" }).click();
  await page.getByText("Database", { exact: true }).waitFor();
  // The first line is shown and the last one has not come: the button still says stop.
  assert.equal(await page.getByRole("button", { name: "Stop" }).count(), 1);
  assert.equal(await page.getByText("everything is in order").count(), 0);
  await picture(page, "checkup");
  await page.getByText("everything is in order").waitFor();
  await page.getByRole("button", { name: "Start the check-up" }).waitFor();
}));

test("an uploaded file comes back byte for byte", limit, visit(async (page) => {
  const folder = await mkdtemp(join(tmpdir(), "appliance-upload-"));
  try {
    const name = "Straßenplan (2).bin";
    const content = randomBytes(8 * 1024 * 1024 + 1);
    await writeFile(join(folder, name), content);

    await page.goto("/shelf");
    await page.getByLabel("Put files on the shelf").setInputFiles(join(folder, name));
    await page.getByText(`${name} is on the shelf.`).waitFor({ timeout: 60_000 });
    await picture(page, "shelf");

    const downloading = page.waitForEvent("download");
    await page.getByRole("link", { name: `Download ${name}` }).click();
    const download = await downloading;
    assert.equal(download.suggestedFilename(), name);
    assert.equal(sha256(await readFile(await download.path())), sha256(content));

    await page.getByRole("button", { name: `Take ${name} away` }).click();
    await page.getByText(`${name} is gone.`).waitFor();
  } finally {
    await rm(folder, { recursive: true });
  }
}));

test("the admin has its styles and lets the administrator in", limit, visit(async (page) => {
  await page.goto("/admin/");
  await assertStyled(page);
  await page.getByLabel("Username:").fill("admin");
  await page.getByLabel("Password:").fill("appliance");
  await page.getByRole("button", { name: "Log in" }).click();
  await arrive(page, page.getByRole("heading", { name: "The caretaker's desk" }));
  await assertStyled(page);
  await picture(page, "admin");

  await page.getByRole("link", { name: "Notes" }).click();
  await arrive(page, page.getByRole("heading", { name: "Select note to change" }));
  await page.getByRole("link", { name: "Welcome to the board" }).click();
  await arrive(page, page.getByRole("heading", { name: "Change note" }));
  await page.getByLabel("Thanks:").fill("15");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await arrive(page, page.getByText("was changed successfully"));

  await page.getByRole("button", { name: "Log out" }).click();
  await arrive(page, page.getByRole("heading", { name: "Logged out" }));
  await page.goto("/admin/board/note/");
  await page.getByLabel("Password:").waitFor();
}));

/** The sign is there and the page complete: leaving earlier would cancel scripts on their way. */
async function arrive(page, sign) {
  await sign.waitFor();
  await page.waitForLoadState("load");
}

/** Django's own blue on the header: without /static/admin/css/base.css it is transparent. */
async function assertStyled(page) {
  const [colour, rules] = await page.evaluate(() => [
    getComputedStyle(document.querySelector("#header")).backgroundColor,
    [...document.styleSheets].find(({ href }) => href?.endsWith("/admin/css/base.css"))?.cssRules.length ?? 0,
  ]);
  assert.notEqual(colour, "rgba(0, 0, 0, 0)");
  assert.ok(rules > 50, `base.css has ${rules} rules`);
}

test("the engine room names the server", limit, visit(async (page) => {
  await page.goto("/engine");
  await page.getByText("median round trip of a Django view").waitFor();
  await page.getByText(/answered 40 requests/).waitFor();
  await picture(page, "engine");
}));

for (const [device, options] of [
  ["a phone", { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
  ["a dark desktop", { colorScheme: "dark" }],
]) {
  test(`every page fits ${device}`, limit, visit(async (page) => {
    for (const path of ["/", "/notes/1", "/notes/new", "/shelf", "/checkup", "/engine", "/nowhere"]) {
      await page.goto(path, { waitUntil: "networkidle" });
      await page.getByRole("heading", { level: 1 }).waitFor();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${new URL(path, base)} is ${over} pixels too wide`);
      await picture(page, `${device.split(" ").at(-1)}${path.replaceAll("/", "-")}`);
    }
  }, options));
}
