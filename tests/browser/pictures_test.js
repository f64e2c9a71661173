// Pictures of the pages for people to look at, in build/artefacts/: phone and desktop, light and
// dark, English and Chinese. The tests themselves ask that nothing is wider than the window, and that
// axe-core finds nothing wrong: in one look of each size, for colours and words are the same in both.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";

import { assertAccessible } from "./accessible.js";
import { assertNoTroubles, until, waitForPictures, waitForText } from "./chromium.js";
import { kArtefacts } from "./looks.js";
import { test } from "./testing.js";

const kLooks = [
  { size: { width: 360, height: 740 }, colorScheme: "light", locale: "zh-CN" },
  { size: { width: 360, height: 740 }, colorScheme: "dark", locale: "en-GB", axe: true },
  { size: { width: 1280, height: 800 }, colorScheme: "light", locale: "en-GB", axe: true },
  { size: { width: 1280, height: 800 }, colorScheme: "dark", locale: "zh-CN" },
];

for (const { size, colorScheme, locale, axe } of kLooks) {
  const language = locale.slice(0, 2);
  const look = `${size.width}-${colorScheme}-${language}`;

  const takePicture = async (page, name, fullPage = false) => {
    await mkdir(kArtefacts, { recursive: true });
    await page.screenshot({ path: `${kArtefacts}${name}-${look}.png`, fullPage });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= size.width, `${name} is ${width} pixels wide in a window of ${size.width}`);
    if (axe) await assertAccessible(page, name);
  };

  test(`pages fit and look right: ${look}`, async ({ server, browser, cleanUp }) => {
    const room = `quiet-otter-${size.width}-${colorScheme}`;
    const open = async (options) => {
      const page = await browser.newPage(options);
      cleanUp(() => page.context().close());
      return page;
    };
    const query = { synthetic: "1", relay: "1" };
    const page = await open({ viewport: size, colorScheme, locale });
    await page.goto(`${server.secureUrl}/#k=${await server.invitation(room)}`);
    await waitForText(page, "#check-signaling", /\d/);
    await takePicture(page, "start", true);

    await page.goto(`${server.secureUrl}/diag?auto=1#k=${await server.invitation(room)}`);
    await until("a report", () => page.locator("#copy").isEnabled());
    await page.locator("#own summary").click();
    await takePicture(page, "diag", true);

    const before = { ...query, name: "Ann", prejoin: "1" };
    await page.goto(await server.roomUrl(room, { query: before }));
    await page.locator("#enter:enabled").waitFor();
    await takePicture(page, "before");
    await page.locator("#enter").click();
    await waitForText(page, "#share", /./);
    await takePicture(page, "alone");

    const ben = await open({ locale });
    await ben.goto(await server.roomUrl(room, { query: { ...query, name: "李明" } }));
    await waitForPictures(page);
    await waitForText(page, ".tile:not(.own) .path", /ms|毫秒/);
    const question = language === "zh" ? "听得到吗？" : "Can you hear me?";
    await ben.locator("#chat-text").fill(question);
    await ben.keyboard.press("Enter");
    await waitForText(page, "#chat-log", /[？?]/);
    await page.locator("#notice-media .close").click();
    await takePicture(page, "call");
    await ben.locator("#files").setInputFiles([
      { name: "plan.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(300_000) }]);
    await page.locator(".file .accept").waitFor({ state: "visible" });
    await page.locator("#more").click();
    await takePicture(page, "more");
    await page.locator("#statistics").click();
    await page.locator(".tile:not(.own) .stats").waitFor({ state: "visible" });
    await takePicture(page, "statistics");

    await page.locator("#hang-up").click();
    await waitForText(page, "#over-title", /./);
    await takePicture(page, "left");
    await assertNoTroubles(page, ben);
  });
}
