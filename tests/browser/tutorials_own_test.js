// The five tutorials' own pages, copied out of their text by tutorials_own.js, all against one
// server. Their texts are other people's and no part of this project:
//
//   TUTORIALS_DIR=folder node run.js "own page"      files 000_*, 001_*, 002_*, 003_*, 004_*
//
// Pictures of what the pages showed are left in build/artefacts/.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { until } from "./chromium.js";
import { skipped, test as plainTest } from "./testing.js";
import { foreignScripts, shimFor000, writeTutorials } from "./tutorials_own.js";
import { freePorts, kApiKey, Turnpike } from "./turnpike.js";

const kSource = process.env.TUTORIALS_DIR;
const kArtefacts = fileURLToPath(new URL("../../build/artefacts/", import.meta.url));

function test(name, run, options) {
  if (kSource) plainTest(name, run, options);
  else skipped(name, "TUTORIALS_DIR names no folder with the tutorials' texts");
}

// One server for all of them, on as many ports as their authors had servers.
async function serve(cleanUp) {
  const folder = await mkdtemp(join(tmpdir(), "turnpike-own-pages-"));
  cleanUp(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // the server reads it as a user of its own
  const [rawPort, lobbyPort, pairPort] = await freePorts(3);
  const server = await Turnpike.start(
    { "--static": folder, "--http-port": [rawPort, lobbyPort, pairPort] });
  cleanUp(() => server.stop());
  const answer = await fetch(`${server.plainUrl}/api/ice`,
    { headers: { Authorization: `Bearer ${kApiKey}` } });
  const { iceServers } = await answer.json();
  await writeTutorials(kSource, folder, { rawPort, lobbyPort, iceServers });
  return { folder, rawPort, lobbyPort, pairPort, server };
}

// Windows with what the pages load from elsewhere. Whatever else they ask of other machines fails.
async function windows({ browser, cleanUp }, count) {
  const scripts = await foreignScripts();
  const pages = [];
  for (let index = 0; index < count; index += 1) {
    const page = await browser.newPage();
    cleanUp(() => page.context().close());
    await page.route((url) => !["localhost", "127.0.0.1", ""].includes(url.hostname), (route) => {
      const body = scripts[route.request().url()];
      return body ? route.fulfill({ body, contentType: "text/javascript" }) : route.abort();
    });
    await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
    page.said = [];
    page.on("console", (message) => page.said.push(message.text()));
    page.dialogs = [];
    page.on("dialog", (dialog) => {
      page.dialogs.push(dialog.message());
      dialog.dismiss();
    });
    pages.push(page);
  }
  return pages;
}

async function plays(page, selector) {
  const frames = () => page.locator(selector).evaluate((video) =>
    (video.videoWidth > 0 ? video.getVideoPlaybackQuality().totalVideoFrames : 0));
  const first = await until(`pictures in ${selector}`, frames);
  await until(`more pictures in ${selector}`, async () => (await frames()) > first + 10);
}

async function take(name, ...pages) {
  await mkdir(kArtefacts, { recursive: true });
  for (const [index, page] of pages.entries()) {
    const path = `${kArtefacts}own-page-${name}-${index + 1}.png`;
    await page.screenshot({ path, fullPage: true });
  }
}

function assertNoTroubles(pages, allowed = /^$/) {
  for (const { troubles } of pages) {
    assert.deepEqual(troubles.filter((trouble) => !allowed.test(trouble)), []);
  }
}

async function play000(shared, { folder }) {
  const [callee, caller] = await windows(shared, 2);
  for (const page of [callee, caller]) await page.addInitScript(shimFor000);
  // From the disk, as who has copied the tutorial opens it.
  await callee.goto(pathToFileURL(join(folder, "000/callee.html")).href);
  await plays(callee, "#localVideo");
  await caller.goto(pathToFileURL(join(folder, "000/index.html")).href);
  for (const page of [callee, caller]) await plays(page, "#remoteVideo");
  await take("000", callee, caller);
  assertNoTroubles([callee, caller]);
}

// The page of another server, which has socket.io's files from npm: asks across origins.
async function startEditorServer(cleanUp, folder) {
  const script = new URL("node_modules/socket.io-client-4/dist/socket.io.js", import.meta.url);
  const types = { html: "text/html", js: "text/javascript" };
  const editor = createServer(async ({ url }, response) => {
    const path = url.startsWith("/node_modules/") ? script : join(folder, url);
    const body = await readFile(path).catch(() => null);
    response.writeHead(body ? 200 : 404, { "Content-Type": types[url.split(".").at(-1)] });
    response.end(body);
  });
  await new Promise((done) => editor.listen(0, "127.0.0.1", done));
  cleanUp(() => editor.closeAllConnections());
  cleanUp(() => editor.close());
  return `http://127.0.0.1:${editor.address().port}`;
}

async function play001(shared, { folder, rawPort }) {
  const editor = await startEditorServer(shared.cleanUp, folder);
  const [callee, caller] = await windows(shared, 2);
  await callee.goto(`${editor}/001/index.html`);
  await caller.goto(`http://localhost:${rawPort}/001/`);
  const connected = (page) => page.evaluate(() => socket.connected);
  for (const page of [callee, caller]) await until("a connection", () => connected(page));
  await caller.locator(".call").click();
  for (const page of [callee, caller]) await plays(page, ".remoteVideo");
  await take("001", callee, caller);
  // Candidates that come while the callee opens its camera find no description there yet.
  assertNoTroubles([callee, caller], /addIceCandidate/);
}

async function play002(shared, { lobbyPort }) {
  const [ann, ben] = await windows(shared, 2);
  for (const page of [ann, ben]) await page.goto(`http://localhost:${lobbyPort}/002/`);
  for (const page of [ann, ben]) {
    await until("a connection", () => page.evaluate(() => socket.connected));
    await page.evaluate(() => {
      localPeerConnection.addEventListener("datachannel", ({ channel }) =>
        channel.addEventListener("message", ({ data }) => console.log(`heard ${data}`)));
    });
  }
  await ann.locator("#start").click();
  for (const page of [ann, ben]) await until("the channel", () => page.said.includes("open"));
  for (const [from, to, text] of [[ann, ben, "你好 from Ann"], [ben, ann, "😀 from Ben"]]) {
    await from.locator("#textarea").fill(text);
    await from.locator("#send").click();
    await until(text, () => to.said.some((line) => line.startsWith("event msg")));
    await until(text, () => to.said.includes(`heard ${text}`));
  }
  await take("002", ann, ben);
  assertNoTroubles([ann, ben]);
}

async function enter003(page, port, room) {
  await page.goto(`http://localhost:${port}/003/`);
  await page.locator("#room").fill(room);
  await page.locator("#join").click();
  await page.waitForURL(/room\.html\?room=/);
}

const state003 = (page, wanted) =>
  until(wanted, () => page.evaluate((name) => state === name, wanted));

async function play003(shared, { pairPort }) {
  const [ann, ben, cai] = await windows(shared, 3);
  for (const page of [ann, ben, cai]) await enter003(page, pairPort, "blue room");
  await ann.locator("#connserver").click();
  await state003(ann, "joined");
  await ben.locator("#connserver").click();
  await state003(ann, "joined_conn");
  for (const page of [ann, ben]) await plays(page, "#remotevideo");
  await cai.locator("#connserver").click();
  await until("the alert", () => cai.dialogs.length > 0);
  assert.deepEqual(cai.dialogs, ["the room is full!"]);
  await state003(cai, "leaved");
  for (const page of [ann, ben]) await plays(page, "#remotevideo");
  await take("003", ann, ben, cai);

  await ben.locator("#leave").click();
  await state003(ben, "leaved");
  await state003(ann, "joined_unbind");
  await ben.locator("#connserver").click();
  await state003(ann, "joined_conn");
  for (const page of [ann, ben]) await plays(page, "#remotevideo");
  await ben.close();
  await state003(ann, "joined_unbind");
  assertNoTroubles([ann, cai]);
}

async function play004(shared, { folder }) {
  const [ann, ben] = await windows(shared, 2);
  await ann.goto(`${pathToFileURL(join(folder, "004/index.html")).href}#a1b2c3`);
  await plays(ann, "#localVideo");
  await ben.goto(`${pathToFileURL(join(folder, "004/ours.html")).href}#a1b2c3`);
  for (const page of [ann, ben]) await plays(page, "#remoteVideo");
  await take("004", ann, ben);
  assertNoTroubles([ann, ben]);
}

const kPlays = [
  ["000", "shows the other's video, and its own is shown there", play000],
  ["001", "calls another across origins, both see each other", play001],
  ["002", "delivers its data channel's text both ways", play002],
  ["003", "shows the other's video, and a third finds it full", play003],
  ["004", "shows the other's video, with either SDK", play004],
];
for (const [number, what, play] of kPlays) {
  test(`${number}'s own page ${what}`, async (shared) =>
    play(shared, await serve(shared.cleanUp)));
}

test("all five tutorials' own pages at once on one server", async (shared) => {
  const place = await serve(shared.cleanUp);
  await Promise.all(kPlays.map(([, , play]) => play(shared, place)));
}, { limit: 300_000 });
