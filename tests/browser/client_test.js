// The client module: in Node, and as the documentation's example in both browsers.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import WebSocket from "ws";

import * as client from "../../signaling/web/client/v1.js";
import { until, waitForPictures } from "./chromium.js";
import { cuttableWay } from "./cuttable_way.js";
import { Firefox } from "./firefox.js";
import { skipped, test } from "./testing.js";
import { kApiKey, Turnpike } from "./turnpike.js";

const run = promisify(execFile);
const kPackage = fileURLToPath(new URL("../../signaling/web/client/", import.meta.url));
const kPage = new URL("../../docs/client.md", import.meta.url);
const { join } = client;

const event = (target, type) => new Promise((resolve) => target.once(type, resolve));

// Somebody in Node, who leaves with the test.
async function enter({ server, cleanUp }, room, options = {}) {
  const entered = await join(room, { url: server.plainUrl, WebSocket, ...options });
  cleanUp(() => entered.leave());
  return entered;
}

test("in Node, members meet, talk through the server and part", async (shared) => {
  const ann = await enter(shared, "node", { name: "Ann" });
  assert.equal(ann.state, "open");
  assert.equal(ann.self.name, "Ann");
  const arrived = event(ann, "peer");
  const ben = await enter(shared, "node", { name: "Ben" });
  const [annSeen] = ben.peers.values();
  const benSeen = await arrived;
  assert.equal(benSeen.name, "Ben");
  assert.equal(annSeen.name, "Ann");
  assert.deepEqual([annSeen.polite, benSeen.polite], [true, false]);
  assert.equal(benSeen.connection, null);
  const told = [];
  ben.on("peer", (peer) => told.push(peer));
  assert.deepEqual(told, [annSeen], "who is here already is told");

  const heard = event(ben, "message");
  ann.send({ hi: [1, "二"] });
  assert.deepEqual(await heard, { peer: annSeen, data: { hi: [1, "二"] }, direct: false });
  const answered = event(benSeen, "message");
  annSeen.send("only you");
  assert.equal((await answered).data, "only you");

  const gone = event(ann, "gone");
  ben.leave();
  assert.equal(await gone, benSeen);
  assert.equal(benSeen.leftBecause, "left");
  assert.equal(ann.peers.size, 0);
  assert.equal(ben.closed.reason, "left");
});

test("in Node, an invitation brings relay credentials, and a bad one a JoinError", async (shared) => {
  const { server } = shared;
  const invited = await enter(shared, "invited", { invitation: await server.invitation("invited") });
  const urls = invited.iceServers.flatMap((one) => one.urls);
  assert.ok(urls.some((url) => url.startsWith("turn:")), JSON.stringify(urls));
  await assert.rejects(enter(shared, "invited", { invitation: "forged" }), (error) =>
    error instanceof client.JoinError && error.code === "bad-invitation");
});

test("in Node, a signal leaves the room, before and after the join", async (shared) => {
  const early = AbortSignal.abort(new Error("too late"));
  await assert.rejects(enter(shared, "signals", { signal: early }), /too late/);
  const abort = new AbortController();
  const room = await enter(shared, "signals", { signal: abort.signal });
  const closed = event(room, "closed");
  abort.abort();
  assert.equal((await closed).reason, "left");
  const after = await enter(shared, "signals");
  assert.equal(after.peers.size, 0);
});

test("in Node, a removed member is told so", async (shared) => {
  const { server } = shared;
  const room = await enter(shared, "removal");
  const closed = event(room, "closed");
  const answer = await fetch(`${server.plainUrl}/api/rooms/removal/members/${room.self.id}`, {
    method: "DELETE", headers: { Authorization: `Bearer ${kApiKey}` },
  });
  assert.equal(answer.status, 204);
  const { reason, code } = await closed;
  assert.equal(reason, "ended");
  assert.equal(code, client.CloseCode.removed);
});

test("in Node, a lost connection is resumed and nothing is lost or told twice", async (shared) => {
  const { server, cleanUp } = shared;
  const way = await cuttableWay(server.port);
  cleanUp(() => way.close());
  const ann = await enter(shared, "resume-node", { url: way.url, name: "Ann" });
  const ben = await enter(shared, "resume-node", { name: "Ben" });
  const [annSeen] = ben.peers.values();
  const heard = { ann: [], ben: [] };
  ann.on("message", ({ data }) => heard.ann.push(data));
  ben.on("message", ({ data }) => heard.ben.push(data));
  const lost = new Promise((done) => ann.on("state", (state) => state === "waiting" && done()));
  const away = event(annSeen, "change");
  way.cut();
  await lost;
  await away;
  assert.equal(annSeen.away, true);
  for (let number = 0; number < 20; number += 1) {
    ann.send({ from: "ann", number });
    ben.send({ from: "ben", number });
  }
  way.mend();
  ann.retry();
  await until("all messages", () => heard.ann.length >= 20 && heard.ben.length >= 20);
  const numbers = Array.from({ length: 20 }, (_, number) => number);
  assert.deepEqual(heard.ann.map(({ number }) => number), numbers);
  assert.deepEqual(heard.ben.map(({ number }) => number), numbers);
  assert.equal(annSeen.away, false);
  assert.equal([...ben.peers.values()][0], annSeen, "the same member");
});

test("the types name everything that the module exports", async () => {
  const types = await readFile(`${kPackage}v1.d.ts`, "utf8");
  for (const name of Object.keys(client)) {
    assert.match(types, new RegExp(`^export (declare )?(function|class|const) ${name}\\b`, "m"));
  }
  const source = await readFile(`${kPackage}v1.js`, "utf8");
  for (const [, name] of types.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)) {
    assert.match(source, new RegExp(`\\b${name}\\b`), `${name} is not in v1.js`);
  }
});

test("the npm package holds the module, its types and its licence", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json"], { cwd: kPackage });
  const [{ name, files }] = JSON.parse(stdout);
  assert.equal(name, "turnpike-client");
  assert.deepEqual(files.map(({ path }) => path).sort(),
    ["LICENSE", "README.md", "package.json", "v1.d.ts", "v1.js"]);
});

// --- the example of docs/client.md

async function serveExample(cleanUp) {
  const folder = await mkdtemp(joinPath(tmpdir(), "turnpike-example-"));
  cleanUp(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // the server may run as another user
  const [, example] = /```html\n([\s\S]*?)```/.exec(await readFile(kPage, "utf8"));
  await writeFile(joinPath(folder, "index.html"), example);
  const server = await Turnpike.start({ "--static": folder });
  cleanUp(() => server.stop());
  return server;
}

const pictureMoves = (page) => until("a picture that moves", () => page.evaluate(() => {
  const video = document.querySelector("video");
  return video?.videoWidth > 0 && video.currentTime > 0;
}));

test("the documentation's example connects two in Chromium", async ({ browser, cleanUp }) => {
  const server = await serveExample(cleanUp);
  const url = `${server.plainUrl}/#k=${await server.invitation("demo")}`;
  const [ann, ben] = [await browser.newPage(), await browser.newPage()];
  cleanUp(() => Promise.all([ann.context().close(), ben.context().close()]));
  await ann.goto(url);
  await until("Ann inside", () => ann.evaluate(() => window.performance
    .getEntriesByType("resource").some(({ name }) => name.endsWith("/client/v1.js"))));
  await ben.goto(url);
  for (const page of [ann, ben]) {
    await waitForPictures(page);
    await pictureMoves(page);
  }
  await until("a greeting", async () => (await Promise.all([ann, ben].map((page) =>
    page.locator("p").allInnerTexts()))).flat().includes("Ann: Hello, everybody"));
  await ben.close();
  await until("an empty page", () => ann.evaluate(() => !document.querySelector("video")));
  assert.deepEqual(ann.troubles.filter((trouble) => trouble.startsWith("exception")), []);
});

const kFirefoxTest = "the documentation's example connects Firefox and Chromium";
if (!existsSync(Firefox.executable)) {
  skipped(kFirefoxTest, `${Firefox.executable} is not there`);
} else {
  test(kFirefoxTest, async ({ browser, openFirefox, cleanUp }) => {
    const server = await serveExample(cleanUp);
    const url = `${server.plainUrl}/#k=${await server.invitation("demo")}`;
    const ann = await (await openFirefox()).newPage({ cleanUp });
    const ben = await browser.newPage();
    cleanUp(() => ben.context().close());
    await ann.goto(url);
    await ben.goto(url);
    await Promise.all([pictureMoves(ann), pictureMoves(ben)]);
  });
}
