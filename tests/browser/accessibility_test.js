// WCAG 2.2 AA as far as axe-core can tell, on every page and state, light and dark, phone and desk;
// and how much all of it weighs.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";

import { until, waitForPictures, waitForText } from "./chromium.js";
import { test } from "./testing.js";

const require = createRequire(import.meta.url);
const kAxe = require.resolve("axe-core/axe.min.js");
const kWebFolder = new URL("../../signaling/web/", import.meta.url);
const kMostCompressed = 150_000;
const kRules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const kLooks = [
  { viewport: { width: 360, height: 740 }, colorScheme: "dark", locale: "en-GB" },
  { viewport: { width: 1280, height: 800 }, colorScheme: "light", locale: "zh-CN" },
];

async function assertAccessible(page, state) {
  const source = await readFile(kAxe, "utf8");
  await page.evaluate(source);
  const violations = await page.evaluate(async (tags) => {
    const found = await window.axe.run(document, { runOnly: { type: "tag", values: tags } });
    return found.violations.map(({ id, help, nodes }) =>
      ({ id, help, where: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`) }));
  }, kRules);
  assert.deepEqual(violations, [], state);
}

for (const look of kLooks) {
  const name = `${look.viewport.width}-${look.colorScheme}`;

  test(`axe finds nothing wrong on the start page and the connection test: ${name}`, async (shared) => {
    const { server, browser, cleanUp } = shared;
    const page = await browser.newPage(look);
    cleanUp(() => page.context().close());
    const key = await server.invitation("any");
    await page.goto(`${server.secureUrl}/#k=${key}`);
    await waitForText(page, "#check-signaling", /\d/);
    await assertAccessible(page, "start page");
    await page.goto(`${server.secureUrl}/diag?auto=1#k=${key}`);
    await until("a report", () => page.locator("#copy").isEnabled());
    await page.locator("#own summary").click();
    await assertAccessible(page, "connection test");
  });

  test(`axe finds nothing wrong before, in and after a call: ${name}`, async (shared) => {
    const { server, browser, cleanUp } = shared;
    const room = `accessible-${name}`;
    const page = await browser.newPage(look);
    const ben = await browser.newPage();
    cleanUp(() => Promise.all([page.context().close(), ben.context().close()]));
    await page.goto(await server.roomUrl(room, { query: { prejoin: "1", name: "Ann" } }));
    await page.locator("#enter:enabled").waitFor();
    await assertAccessible(page, "before the call");
    await page.locator("#enter").click();
    await page.locator("#share-code").waitFor({ state: "visible" });
    await assertAccessible(page, "alone");
    await ben.goto(await server.roomUrl(room, { query: { name: "Ben" } }));
    await waitForPictures(page);
    await ben.locator("#files").setInputFiles([
      { name: "plan.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(2000) }]);
    await page.locator(".file .accept").waitFor({ state: "visible" });
    await page.locator("#more").click();
    await assertAccessible(page, "the dialog");
    await page.locator("#statistics").click();
    await page.locator(".tile:not(.own) .stats").waitFor({ state: "visible" });
    await assertAccessible(page, "in the call");
    await page.locator("#hang-up").click();
    await page.locator("#over-title").waitFor({ state: "visible" });
    await assertAccessible(page, "after the call");
  });
}

test("all pages together weigh less than 150 KB compressed", async ({ server }) => {
  const own = (await readdir(kWebFolder)).filter((name) => /\.(js|css|html|svg)$/.test(name));
  const paths = [...own.map((name) => `/assets/${name}`), "/client/v1.js"];
  let weight = 0;
  for (const path of paths) {
    const answer = await fetch(server.plainUrl + path);
    assert.equal(answer.status, 200, path);
    weight += gzipSync(Buffer.from(await answer.arrayBuffer()), { level: 9 }).length;
  }
  assert.ok(weight > 20_000 && weight < kMostCompressed, `${weight} bytes`);
});
