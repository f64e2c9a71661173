// The dashboard: what it shows of real traffic, who may see it, what it does when the server is gone,
// and how it looks.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import { assertNoTroubles, until, waitForPictures, waitForText } from "./chromium.js";
import { Firefox } from "./firefox.js";
import { kLooks, kOtherLooks, lookAt } from "./looks.js";
import { test } from "./testing.js";
import { freePorts, kApiKey, Turnpike } from "./turnpike.js";

const kToken = "browser-tests-only-token";
async function startServer({ cleanUp }, options = {}) {
  const [port] = await freePorts(1);
  const server = await Turnpike.start({ "--prometheus-port": port, "--workers": 2, ...options });
  cleanUp(() => server.stop());
  return { server, stats: `http://127.0.0.1:${port}/stats` };
}

const figure = (page, words) => page.locator("#now > div", { hasText: words }).locator("dd").innerText();

test("the dashboard shows what is relayed, as plots and as tables, and says when the server is gone", async (shared) => {
  const { browser, openFirefox, cleanUp } = shared;
  const { server, stats } = await startServer(shared);
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  await page.goto(stats);
  await waitForText(page, "#status", /every 5 seconds/);
  assert.equal(await figure(page, "Allocations"), "0");
  await waitForText(page, "#plots", /Nothing in this time/);
  await waitForText(page, "#drops-none", /None/);
  await lookAt(page, "stats-empty", kLooks.slice(0, 1));
  await page.locator("#language").click();

  const open = async (name) => {
    const one = await browser.newPage({ ignoreHTTPSErrors: true });
    cleanUp(() => one.context().close());
    await one.goto(await server.roomUrl("counted", { query: { name, synthetic: "1", relay: "1" } }));
    return one;
  };
  const ann = await open("Ann");
  await open("Ben");
  await waitForPictures(ann);
  await until("traffic", async () => Number(await figure(page, "Allocations")) >= 2
    && !/^0 /.test(await figure(page, "To peers")) && (await figure(page, "Members")) === "2");
  assert.equal(await figure(page, "Rooms"), "1");
  assert.match(await page.locator("[data-plot=traffic] svg[role]").getAttribute("aria-label"),
    /To peers: now .+bit\/s, at most .+bit\/s/);
  await until("a line", async () =>
    /^M.*L/.test(await page.locator("[data-plot=traffic] path.series-2").getAttribute("d")));
  assert.equal(await page.locator("#workers li").count(), 2);

  // By keyboard: a range, the values at a time, the table.
  await page.locator("[name=range][value='60']").press("ArrowUp");
  assert.equal(await page.locator("[name=range][value='15']").isChecked(), true);
  await page.locator("[data-plot=traffic] svg[role]").press("ArrowLeft");
  await waitForText(page, "[data-plot=traffic] .readout", /\d\d:\d\d:\d\d.*To peers .*bit\/s/);
  await page.locator("[data-plot=traffic] summary").press("Enter");
  await waitForText(page, "[data-plot=traffic] tbody", /\d\d:\d\d.*bit\/s/);
  // Playwright calls an answer without content (204) a failed request.
  page.troubles = page.troubles.filter((trouble) => !trouble.endsWith("/stats/session"));
  await assertNoTroubles(page);
  await lookAt(page, "stats", kLooks);

  // Whoever comes late sees what was before; here in the other browser, if it is there.
  const late = existsSync(Firefox.executable) ? await (await openFirefox()).newPage({ cleanUp })
    : await browser.newPage();
  await late.goto(stats);
  const lengthOf = (one) => one.evaluate(() =>
    document.querySelector("[data-plot=allocations] path")?.getAttribute("d").split("L").length ?? 0);
  await until("the rows before", async () => (await lengthOf(late)) >= (await lengthOf(page)));

  const drawn = await lengthOf(page);
  await server.restart();
  await until("rows of the new server after those of the old", async () => (await lengthOf(page)) > drawn);
  await server.stop();
  await until("the end to be noticed", async () => page.locator("#status.trouble").count());
  await lookAt(page, "stats-gone", kOtherLooks);
}, { limit: 120_000 });

test("the dashboard on a public port asks for the token once, and forgets on request", async (shared) => {
  const { browser, cleanUp } = shared;
  const { server } = await startServer(shared, { "--public-stats": true, "--prometheus-token": kToken });
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  cleanUp(() => page.context().close());
  await page.goto(`${server.secureUrl}/stats`);
  await page.locator("#token").waitFor({ state: "visible" });
  assert.equal(await page.locator("#board").isVisible(), false);
  await page.locator("#token").fill(kApiKey);
  await page.keyboard.press("Enter");
  await waitForText(page, "#lock-error", /not the token/);
  await lookAt(page, "stats-locked", kOtherLooks);
  await page.locator("#token").fill(kToken);
  await page.keyboard.press("Enter");
  await page.locator("#board").waitFor({ state: "visible" });
  const [cookie] = await page.context().cookies(`${server.secureUrl}/stats`);
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite, cookie.path],
    [true, true, "Strict", "/stats"]);
  assert.doesNotMatch(cookie.value, new RegExp(kToken));
  assert.equal(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])
    .includes("turnpike_stats")), false);
  await page.reload();
  await page.locator("#leave").click();
  await page.locator("#token").waitFor({ state: "visible" });
  assert.doesNotMatch(server.log, new RegExp(kToken), "no token in logs");
  assert.deepEqual(await page.evaluate(() => window.policyViolations), []);
});
