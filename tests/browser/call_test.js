// What two people do in a call.

import assert from "node:assert/strict";

import { assertNoTroubles, until, waitForPictures, waitForText } from "./chromium.js";
import { lookAt } from "./looks.js";
import { test } from "./testing.js";
import { kPlainName } from "./turnpike.js";

async function twoPeople({ server, browser, cleanUp }, room, query = {}) {
  const [ann, ben] = [await browser.newPage(), await browser.newPage()];
  cleanUp(() => Promise.all([ann.context().close(), ben.context().close()]));
  const invitation = await server.invitation(room);
  await ann.goto(await server.roomUrl(room, { invitation, query: { ...query, name: "Ann" } }));
  await waitForText(ann, "#phase", /Waiting for others/);
  await ben.goto(await server.roomUrl(room, { invitation, query: { ...query, name: "Ben" } }));
  for (const page of [ann, ben]) {
    await waitForText(page, ".tile:not(.own) .path", /\/(udp|tcp|tls)/);
  }
  return [ann, ben];
}

const say = async (page, text) => {
  await page.locator("#chat-text").fill(text);
  await page.keyboard.press("Enter");
};

test("chat reaches the other, as text and never as markup", async (shared) => {
  const [ann, ben] = await twoPeople(shared, "chat", { relay: "1" });
  const nasty = "<img src=x onerror=alert(1)> 你好 & <b>Ben</b>";
  await say(ann, nasty);
  await waitForText(ben, "#chat-log .other", /你好/);
  assert.equal(await ben.locator("#chat-log .other .what").innerText(), nasty);
  assert.equal(await ben.locator("#chat-log .other .who").innerText(), "Ann");
  assert.equal(await ben.locator("#chat-log img, #chat-log b").count(), 0);
  await say(ben, "and back");
  await waitForText(ann, "#chat-log .other", /and back/);
  await assertNoTroubles(ann, ben);
});

test("a name in the address is shown as text to the others", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const [ann, ben] = await twoPeople(shared, "names");
  const eve = await browser.newPage();
  cleanUp(() => eve.context().close());
  const name = `<i>Eve</i>\n${"很长".repeat(99)}`;
  await eve.goto(await server.roomUrl("names", { query: { name } }));
  await waitForText(ann, "#people", /<i>Eve<\/i>很长很长/);
  assert.equal(await ann.locator("#people i, #tiles i").count(), 0);
  await ben.locator("#my-name").fill("Benjamin");
  await ben.keyboard.press("Tab");
  await waitForText(ann, "#people", /Benjamin/);
  await waitForText(eve, "#people", /Benjamin/);
  await assertNoTroubles(ann, ben, eve);
});

test("mute and camera off silence the tracks, and the other is told", async (shared) => {
  const [ann, ben] = await twoPeople(shared, "switches");
  const sending = (kind) => ann.evaluate((wanted) => {
    const senders = window.rememberedConnections[0].getSenders();
    return senders.find(({ track }) => track?.kind === wanted).track.enabled;
  }, kind);
  assert.equal(await sending("audio"), true);
  await ann.locator("#microphone").click();
  assert.equal(await sending("audio"), false);
  await ben.locator(".tile:not(.own) .muted").waitFor({ state: "visible" });
  await waitForText(ann, "#microphone", /Unmute/);
  await ann.locator("#microphone").click();
  assert.equal(await sending("audio"), true);
  await ben.locator(".tile:not(.own) .muted").waitFor({ state: "hidden" });
  await ann.locator("#camera").click();
  assert.equal(await sending("video"), false);
  await ben.locator(".tile:not(.own) .cover").waitFor({ state: "visible" });
  await assertNoTroubles(ann, ben);
});

test("hanging up ends the call, and the other sees it", async (shared) => {
  const [ann, ben] = await twoPeople(shared, "hang-up");
  await ann.locator("#hang-up").click();
  await waitForText(ann, "#over-title", /You left the call/);
  await waitForText(ben, "#phase", /Waiting for others/);
  await waitForText(ben, "#chat-log", /Ann left/);
  assert.equal(await ben.locator(".tile:not(.own)").count(), 0);
  const states = await ann.evaluate(() =>
    window.rememberedConnections.map(({ connectionState }) => connectionState));
  assert.deepEqual(states, ["closed"]);
  await ann.locator("#again").click();
  await waitForPictures(ann);
  await waitForPictures(ben);
  await assertNoTroubles(ann, ben);
});

test("closing the tab leaves the room at once", async (shared) => {
  const [ann, ben] = await twoPeople(shared, "closing");
  await ben.goto("about:blank");
  await waitForText(ann, "#chat-log", /Ben left/);
  await assertNoTroubles(ann);
});

test("the whole call works by keyboard", async ({ server, browser, cleanUp }) => {
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  await page.goto(await server.roomUrl("keyboard"));
  await waitForText(page, "#phase", /Waiting for others/);
  const reached = new Set();
  for (let i = 0; i < 14; i += 1) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id));
  }
  for (const id of ["language", "share-copy", "microphone", "camera", "hang-up", "chat-text"]) {
    assert.ok(reached.has(id), `${id} is not reached by Tab`);
  }
  const unnamed = await page.evaluate(() => [...document.querySelectorAll("button, input, a")]
    .filter((element) => element.checkVisibility())
    .filter(({ innerText, ariaLabel, labels }) =>
      !(innerText?.trim() || ariaLabel || labels?.length))
    .map((element) => element.outerHTML));
  assert.deepEqual(unnamed, [], "controls without a name");
  await page.locator("#hang-up").focus();
  await page.keyboard.press("Enter");
  await waitForText(page, "#over-title", /You left the call/);
  await assertNoTroubles(page);
});

test("without HTTPS a call starts with a test picture and says why", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const ann = await browser.newPage({ viewport: { width: 360, height: 740 } });
  const ben = await browser.newPage();
  cleanUp(() => Promise.all([ann.context().close(), ben.context().close()]));
  const base = `http://${kPlainName}:${server.port}`;
  const url = await server.roomUrl("plain", { base, query: { relay: "1" } });
  await ann.goto(url);
  assert.equal(await ann.evaluate(() => window.isSecureContext), false);
  await waitForText(ann, "#notice-media", /Opened over plain HTTP/);
  await waitForText(ann, "#notice-media", /tools\/up --dev/);
  assert.ok(await ann.evaluate(() => document.documentElement.scrollWidth) <= 360, "too wide");
  await ben.goto(url);
  for (const page of [ann, ben]) {
    const [facts] = await waitForPictures(page);
    assert.equal(facts.local, "relay");
  }
  await until("a moving picture in Ann's own tile", () => ann.evaluate(() => {
    const video = document.querySelector(".tile.own video");
    return video.videoWidth > 0 && video.currentTime > 0;
  }));
  await lookAt(ann, "insecure");
  await assertNoTroubles(ann, ben);
});
