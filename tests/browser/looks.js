// Pictures of what a page shows at a moment, for people to look at: phone and desktop, light and dark,
// English and Chinese, in build/artefacts/. What a picture cannot say by itself is asked of the page:
// nothing is wider than the window, and axe-core finds nothing wrong.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { assertAccessible } from "./accessible.js";

export const kArtefacts = fileURLToPath(new URL("../../build/artefacts/", import.meta.url));

const kPhone = { width: 360, height: 740 };
const kDesktop = { width: 1280, height: 800 };
// Two that differ in everything, and the two others.
export const kLooks = [
  { size: kPhone, colorScheme: "light", locale: "zh-CN" },
  { size: kDesktop, colorScheme: "dark", locale: "en-GB" },
];
export const kOtherLooks = [
  { size: kPhone, colorScheme: "dark", locale: "en-GB" },
  { size: kDesktop, colorScheme: "light", locale: "zh-CN" },
];

// The page stays as it is but for size, colours and language; at the end it has the last of `looks`.
export async function lookAt(page, name, looks = kLooks) {
  await mkdir(kArtefacts, { recursive: true });
  for (const { size, colorScheme, locale } of looks) {
    const language = locale.slice(0, 2);
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    if (!(await page.getAttribute("html", "lang")).startsWith(language)) await page.locator("#language").click();
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const file = `${name}-${size.width}-${colorScheme}-${language}.png`;
    await page.screenshot({ path: kArtefacts + file, fullPage: true });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= size.width, `${file} is ${width} pixels wide`);
    await assertAccessible(page, file);
  }
}
