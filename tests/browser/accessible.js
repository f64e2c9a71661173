// WCAG 2.2 AA as far as axe-core can tell.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const kAxe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const kRules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export async function assertAccessible(page, state) {
  await page.evaluate(await readFile(kAxe, "utf8"));
  const violations = await page.evaluate(async (tags) => {
    const found = await window.axe.run(document, { runOnly: { type: "tag", values: tags } });
    return found.violations.map(({ id, help, nodes }) =>
      ({ id, help, where: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`) }));
  }, kRules);
  assert.deepEqual(violations, [], state);
}
