// Pages that make the calls of five WebRTC tutorials, and PeerJS's client, against one server that
// also serves them. Its relay is what they are given as iceServers.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, copyFile, cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { connectionFacts, until, waitForPictures, waitForText } from "./chromium.js";
import { test } from "./testing.js";
import { kApiKey, Turnpike } from "./turnpike.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// A server of the test's own: some tutorials have one room for everybody.
async function serve(cleanUp) {
  const folder = await mkdtemp(join(tmpdir(), "turnpike-tutorials-"));
  cleanUp(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // the server reads it as a user of its own
  await cp(here("tutorials"), folder, { recursive: true });
  await copyFile(here("node_modules/socket.io-client-2/dist/socket.io.js"),
    join(folder, "socket.io-2.0.3.js"));
  await copyFile(here("node_modules/peerjs/dist/peerjs.min.js"), join(folder, "peerjs.min.js"));
  await writeFile(join(folder, "ice.js"), "window.iceServers = [];\n");
  const server = await Turnpike.start({ "--static": folder });
  cleanUp(() => server.stop());
  const answer = await fetch(`${server.plainUrl}/api/ice`,
    { headers: { Authorization: `Bearer ${kApiKey}` } });
  const { iceServers } = await answer.json();
  await writeFile(join(folder, "ice.js"), `window.iceServers = ${JSON.stringify(iceServers)};\n`);
  return server;
}

async function openPages({ browser, cleanUp }, count) {
  const pages = [];
  for (let index = 0; index < count; index += 1) {
    const page = await browser.newPage();
    cleanUp(() => page.context().close());
    pages.push(page);
  }
  return pages;
}

function assertNoExceptions(...pages) {
  for (const { troubles } of pages) {
    assert.deepEqual(troubles, [], "console errors, exceptions or failed requests");
  }
}

async function bothSee(...pages) {
  try {
    for (const page of pages) await waitForPictures(page);
  } catch (error) {
    throw new Error(`${error.message}: ${pages.flatMap(({ troubles }) => troubles).join("\n")}`);
  }
}

async function pictureGrows(page) {
  const at = () => page.evaluate(() => document.querySelector("#other").currentTime);
  const before = await at();
  await until("the other's video to go on", async () => (await at()) > before);
}

test("000: two pages on a bare WebSocket see each other", async (shared) => {
  const server = await serve(shared.cleanUp);
  const [callee, caller] = await openPages(shared, 2);
  await callee.goto(`${server.plainUrl}/000.html`);
  await waitForText(callee, "#state", /waiting/);
  await caller.goto(`${server.plainUrl}/000.html?caller`);
  await bothSee(callee, caller);
  for (const page of [callee, caller]) await pictureGrows(page);
  assertNoExceptions(callee, caller);
});

test("001: a page calls another in room 1 over Socket.IO 4", async (shared) => {
  const server = await serve(shared.cleanUp);
  const [callee, caller] = await openPages(shared, 2);
  for (const page of [callee, caller]) {
    await page.goto(`${server.plainUrl}/001.html`);
    await waitForText(page, "#state", /connected/);
  }
  await caller.locator("#call").click();
  await bothSee(callee, caller);
  for (const page of [callee, caller]) await pictureGrows(page);
  assertNoExceptions(callee, caller);
});

test("002: text goes both ways through the pages' data channels", async (shared) => {
  const server = await serve(shared.cleanUp);
  const [ann, ben] = await openPages(shared, 2);
  for (const page of [ann, ben]) {
    await page.goto(`${server.plainUrl}/002.html`);
    await waitForText(page, "#state", /connected/);
  }
  await ann.locator("#start").click();
  for (const page of [ann, ben]) await waitForText(page, "#state", /open/);
  for (const [from, to, text] of [[ann, ben, "你好 from Ann"], [ben, ann, "😀 from Ben"]]) {
    await from.locator("#text").fill(text);
    await from.locator("#send").click();
    await waitForText(to, "#heard", new RegExp(text));
  }
  assertNoExceptions(ann, ben);
});

test("003: two pages in a room see each other, a third finds it full", async (shared) => {
  const server = await serve(shared.cleanUp);
  const [ann, ben, cai] = await openPages(shared, 3);
  for (const page of [ann, ben, cai]) await page.goto(`${server.plainUrl}/003.html?room=blue`);
  await ann.locator("#connect").click();
  await waitForText(ann, "#state", /^joined$/);
  await ben.locator("#connect").click();
  await waitForText(ann, "#state", /^joined_conn$/);
  await bothSee(ann, ben);
  await cai.locator("#connect").click();
  await waitForText(cai, "#state", /^full$/);
  for (const page of [ann, ben]) await pictureGrows(page);
  await ben.locator("#leave").click();
  await waitForText(ben, "#state", /^leaved$/);
  await waitForText(ann, "#state", /^joined_unbind$/);
  await ben.locator("#connect").click();
  await waitForText(ann, "#state", /^joined_conn$/);
  await bothSee(ann, ben);
  await ben.close();
  await waitForText(ann, "#state", /^joined_unbind$/);
  assertNoExceptions(ann, cai);
});

test("003: without ?room= the room is false, and two meet in it all the same", async (shared) => {
  const server = await serve(shared.cleanUp);
  const [ann, ben] = await openPages(shared, 2);
  for (const page of [ann, ben]) await page.goto(`${server.plainUrl}/003.html`);
  await ann.locator("#connect").click();
  await waitForText(ann, "#state", /^joined$/);
  await ben.locator("#connect").click();
  await bothSee(ann, ben);
  assertNoExceptions(ann, ben);
});

// Where the tree has the client that pages load for it.
const testScaleDrone = existsSync(here("../../signaling/web/scaledrone.js")) ? test : () => {};
testScaleDrone("004: the second page in a ScaleDrone room calls the first", async (shared) => {
  const server = await serve(shared.cleanUp);
  const [ann, ben] = await openPages(shared, 2);
  await ann.goto(`${server.plainUrl}/004.html#a1b2c3`);
  await waitForText(ann, "#state", /camera/);
  await ben.goto(`${server.plainUrl}/004.html#a1b2c3`);
  await bothSee(ann, ben);
  for (const page of [ann, ben]) await pictureGrows(page);
  assertNoExceptions(ann, ben);
});

test("PeerJS: npm's client finds the other by its id and they talk", async (shared) => {
  const server = await serve(shared.cleanUp);
  const [ann, ben] = await openPages(shared, 2);
  await ann.goto(`${server.plainUrl}/peerjs.html`);
  await waitForText(ann, "#id", /\S{4,}/);
  const id = await ann.locator("#id").innerText();
  await ben.goto(`${server.plainUrl}/peerjs.html?to=${encodeURIComponent(id)}`);
  await waitForText(ann, "#heard", /^你好 😀$/);
  await waitForText(ben, "#heard", /^你好 😀, too$/);
  const open = (await connectionFacts(ben)).filter(({ state }) => state === "connected");
  assert.equal(open.length, 1);
  assertNoExceptions(ann, ben);
});
