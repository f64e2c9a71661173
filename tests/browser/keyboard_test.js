// Every page with the keyboard alone: Tab, Shift+Tab, Enter, Space, arrows and Escape. What has the
// focus is outlined and in sight, and the focus is never lost, whatever goes away.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import { until, waitForPictures, waitForText } from "./chromium.js";
import { Firefox } from "./firefox.js";
import { skipped, test } from "./testing.js";
import { freePorts, kApiKey, Turnpike } from "./turnpike.js";

const kSizes = [{ width: 1280, height: 800 }, { width: 360, height: 740 }];
const kMostSteps = 80;

// --- in the page

// What has the focus, and how it is seen; null: nothing, or something of the browser's own window.
function focusedInPage() {
  const element = document.activeElement;
  if (!document.hasFocus() || !element || element === document.body) return null;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const { left, top, width, height } = element.getBoundingClientRect();
  const parts = [0.1, 0.3, 0.5, 0.7, 0.9];
  const seen = parts.some((right) => parts.some((down) => {
    const there = document.elementFromPoint(left + width * right, top + height * down);
    return there && element.contains(there);
  }));
  return {
    name: window.nameForKeys(element),
    place: [...document.querySelectorAll("*")].indexOf(element),
    outlined: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2,
    seen,
  };
}

// Everything that Tab has to reach, in the order of the document.
function reachableInPage() {
  const scope = document.querySelector("dialog[open]") ?? document;
  const wanted = "a[href], button:enabled, input:enabled, select:enabled, summary, audio[controls], [tabindex='0']";
  return [...scope.querySelectorAll(wanted)]
    .filter((element) => element.checkVisibility() && !(element.type === "radio" && !element.checked))
    .map(window.nameForKeys);
}

function installInPage() {
  window.nameForKeys = ({ id, tagName, className, textContent }) => {
    if (id) return id;
    const words = /^(a|button|summary)$/i.test(tagName) ? textContent.trim() : "";
    return `${className.baseVal ?? className} ${words}`.trim() || tagName;
  };
}

// --- the keys

async function press(page, keys) {
  const [key, ...held] = keys.split("+").reverse();
  for (const one of held) await page.keyboard.down(one);
  await page.keyboard.press(key);
  for (const one of held) await page.keyboard.up(one);
}

async function focused(page) {
  await page.evaluate(installInPage);
  return page.evaluate(focusedInPage);
}

function assertShown({ name, outlined, seen }) {
  assert.ok(outlined, `${name} has the focus without an outline`);
  assert.ok(seen, `${name} has the focus out of sight`);
}

// Where the focus goes after what was done before.
async function focusGoesTo(page, wanted) {
  let name = null;
  try {
    await until("the focus", async () => {
      name = await page.evaluate(() => document.activeElement.id || document.activeElement.className);
      return name.split(" ").includes(wanted);
    });
  } catch (error) {
    throw new Error(`the focus went to "${name}", not to ${wanted} (${error.message})`);
  }
  const one = await focused(page);
  if (one) assertShown(one); // otherwise the browser shows its downloads
}

// Tab until `wanted`, which is an id or the beginning of the words.
async function tabTo(page, wanted, key = "Tab") {
  const passed = [];
  for (let step = 0; step < kMostSteps; step += 1) {
    await press(page, key);
    const one = await focused(page);
    if (one?.name === wanted || one?.name.startsWith(`${wanted} `)) return assertShown(one);
    passed.push(one?.name);
  }
  throw new Error(`${key} does not reach ${wanted}: ${passed.join(", ")}`);
}

// The names of the next `count` elements that the key reaches, the one with the focus among them.
async function walk(page, key, count) {
  const reached = [];
  for (let step = 0; step < kMostSteps; step += 1) {
    const one = await focused(page);
    // The same again: the parts of <audio>.
    if (one?.place !== reached.at(-1)?.place) {
      assertShown(one ?? { name: "nothing" });
      reached.push(one);
    }
    if (reached.length === count) break; // further on is the browser's own window
    await press(page, key);
  }
  return reached.map(({ name }) => name);
}

async function assertAllReached(page) {
  await page.evaluate(installInPage);
  const wanted = await page.evaluate(reachableInPage);
  // A new window of Firefox begins with its address bar, and may come to the front late: a click at
  // the page's edge is what takes the focus from there.
  await until("the page to have the focus", async () => {
    if (await page.evaluate(() => document.hasFocus())) return true;
    await page.bringToFront();
    await page.mouse.click(1, 1);
    return page.evaluate(() => document.hasFocus());
  });
  await page.evaluate(() => {
    document.activeElement.blur();
    const whole = document.querySelector("dialog[open]") ?? document.body;
    whole.tabIndex = -1;
    whole.focus();
    whole.removeAttribute("tabindex");
  });
  await press(page, "Tab");
  assert.deepEqual(await walk(page, "Tab", wanted.length), wanted, "Tab");
  assert.deepEqual((await walk(page, "Shift+Tab", wanted.length)).reverse(), wanted, "Shift+Tab");
  return wanted;
}

const shows = (page, selector, pattern) => until(`${selector} ${pattern}`, () => page.evaluate(
  ([one, source]) => {
    const element = document.querySelector(one);
    return Boolean(element?.checkVisibility()) && new RegExp(source).test(element.innerText);
  }, [selector, pattern.source]));
const hides = (page, selector) => until(`no ${selector}`, () => page.evaluate(
  (one) => !document.querySelector(one)?.checkVisibility(), selector));

// --- who is in the call

const kQuery = { relay: "1", transport: "udp", synthetic: "1" };

// Ben uses a mouse.
async function openBen({ server, browser, cleanUp }, room, invitation) {
  const ben = await browser.newPage();
  cleanUp(() => ben.context().close());
  await ben.goto(await server.roomUrl(room, { invitation, query: { ...kQuery, name: "Ben" } }));
  return ben;
}

const offer = (page, name, size) => page.locator("#files").setInputFiles(
  [{ name, mimeType: "application/octet-stream", buffer: Buffer.alloc(size, 7) }]);

function testInBrowser(browserName, open) {
  for (const size of kSizes) {
    test(`${browserName}: every control of a call, by keyboard, outlined and in sight, at ${size.width}`, async (shared) => {
      const { server } = shared;
      const page = await open(shared, size);
      const room = `keys-${browserName}-${size.width}`;
      const invitation = await server.invitation(room);
      await page.goto(await server.roomUrl(room, { invitation, query: { ...kQuery, prejoin: "1" } }));
      await until("the button", () => page.evaluate(() => !document.getElementById("enter").disabled));
      const before = await assertAllReached(page);
      for (const id of ["prejoin-microphone", "prejoin-camera", "prejoin-name", "enter"]) assert.ok(before.includes(id), id);
      await tabTo(page, "prejoin-camera");
      await press(page, " ");
      await shows(page, "#preview-off", /Camera off/);
      await tabTo(page, "prejoin-name");
      await page.keyboard.type("Ann");
      await tabTo(page, "enter");
      await press(page, "Enter");
      await shows(page, "#phase", /Waiting/);
      await focusGoesTo(page, "room-name");
      await shows(page, "#share", /Nobody else/);
      const alone = await assertAllReached(page);
      for (const id of ["language", "share-copy", "microphone", "camera", "more", "hang-up", "my-name",
        "chat-log", "attach", "voice", "chat-text"]) assert.ok(alone.includes(id), id);

      const ben = await openBen(shared, room, invitation);
      await shows(page, "#phase", /In a call/);
      await waitForPictures(ben);
      await offer(ben, "plan.bin", 1000);
      await shows(page, ".file .accept", /Accept/);
      assert.deepEqual((await assertAllReached(page)).filter((name) => /^(accept|decline)/.test(name)),
        ["accept Accept", "decline quiet Decline"]);
      await tabTo(page, "more");
      await press(page, "Enter");
      await until("the dialog", () => page.evaluate(() => document.getElementById("more-dialog").open));
      const dialog = await assertAllReached(page);
      for (const id of ["keys", "invite", "statistics", "record", "more-close"]) assert.ok(dialog.includes(id), id);
      await press(page, "Escape");
      await focusGoesTo(page, "more");
      await tabTo(page, "hang-up");
      await press(page, "Enter");
      await focusGoesTo(page, "over-title");
      assert.deepEqual((await assertAllReached(page)).slice(-2), ["again", "over-home"]);
    });
  }

  test(`${browserName}: files and voice messages by keyboard, and the focus stays`, async (shared) => {
    const { server } = shared;
    const page = await open(shared, kSizes[0]);
    const room = `keys-files-${browserName}`;
    const invitation = await server.invitation(room);
    await page.goto(await server.roomUrl(room, { invitation, query: kQuery }));
    await shows(page, "#phase", /Waiting/);
    await tabTo(page, "share-copy");
    const ben = await openBen(shared, room, invitation);
    await focusGoesTo(page, "stage"); // the link goes when somebody comes
    await waitForPictures(ben);

    await offer(ben, "first.bin", 2_000_000);
    await shows(page, ".file .accept", /Accept/);
    await tabTo(page, "accept");
    await press(page, "Enter");
    await shows(page, ".file .file-state", /Received/);
    await focusGoesTo(page, "file");
    await tabTo(page, "save");
    await offer(ben, "second.bin", 1000);
    await shows(page, ".file:last-child .decline", /Decline/);
    await tabTo(page, "decline");
    await press(page, " ");
    await waitForText(ben, ".file:last-child .file-state", /Declined/);
    await focusGoesTo(page, "file");

    await tabTo(page, "voice");
    await press(page, " ");
    await shows(page, "#recording-voice", /Recording/);
    await tabTo(page, "voice-cancel", "Shift+Tab");
    await press(page, "Enter");
    await hides(page, "#recording-voice");
    await focusGoesTo(page, "voice");
    await press(page, "Enter");
    await shows(page, "#recording-voice", /Recording/);
    await focusGoesTo(page, "voice");

    await tabTo(page, "chat-text");
    await page.keyboard.type("hello");
    await press(page, "Enter");
    await waitForText(ben, "#chat-log .other:last-child .what", /hello/);
    await ben.goto("about:blank");
    await shows(page, "#chat-log", /Ben left/);
    await focusGoesTo(page, "chat-text");
  });

  test(`${browserName}: what More opens is closed by keyboard, and the focus goes back`, async (shared) => {
    const { server } = shared;
    const page = await open(shared, kSizes[0]);
    const room = `keys-more-${browserName}`;
    const invitation = await server.invitation(room);
    await page.goto(await server.roomUrl(room, { invitation, query: kQuery }));
    const ben = await openBen(shared, room, invitation);
    await waitForPictures(ben);
    await shows(page, "#notice-media", /test picture/);
    await tabTo(page, "quiet close");
    await press(page, "Enter");
    await focusGoesTo(page, "room-name");

    const more = async (id) => {
      await tabTo(page, "more");
      await press(page, "Enter");
      await until("the focus in the dialog", () => page.evaluate(() =>
        document.getElementById("more-dialog").contains(document.activeElement)));
      if ((await focused(page)).name !== id) await tabTo(page, id);
      await press(page, "Enter");
    };
    await more("invite");
    await shows(page, "#share", /Invite somebody/);
    await focusGoesTo(page, "share-link");
    await press(page, "Escape");
    await hides(page, "#share");
    await focusGoesTo(page, "more");
    await press(page, "Shift+Tab"); // for `more` looks from there
    await more("invite");
    await focusGoesTo(page, "share-link");
    await tabTo(page, "share-close");
    await press(page, " ");
    await hides(page, "#share");
    await focusGoesTo(page, "more");
    await press(page, "Shift+Tab");
    await more("statistics");
    await shows(page, ".tile:not(.own) .stats", /bit\/s/);
    await focusGoesTo(page, "more");

    await press(page, "Shift+Tab");
    await more("record");
    await shows(page, "#notice-recording", /You are recording/);
    await focusGoesTo(page, "more");
    await tabTo(page, "record-stop", "Shift+Tab");
    await press(page, "Enter");
    await hides(page, "#notice-recording");
    await focusGoesTo(page, "more");

    // Whoever is removed hears of it where the focus is.
    const headers = { Authorization: `Bearer ${kApiKey}` };
    const { rooms } = await (await fetch(`${server.plainUrl}/api/rooms`, { headers })).json();
    const members = rooms.find((one) => one.room === room).members.filter(({ name }) => name !== "Ben");
    for (const { id } of members) {
      await fetch(`${server.plainUrl}/api/rooms/${room}/members/${id}`, { method: "DELETE", headers });
    }
    await focusGoesTo(page, "over-title");
  });

  test(`${browserName}: the start page, the connection test and the dashboard by keyboard`, async (shared) => {
    const [port] = await freePorts(1);
    const server = await Turnpike.start({ "--prometheus-port": port, "--public-stats": true, "--prometheus-token": "keyboard" });
    shared.cleanUp(() => server.stop());
    for (const size of kSizes) {
      const page = await open(shared, size);
      await page.goto(server.plainUrl);
      await shows(page, "#check-signaling", /answered/);
      await assertAllReached(page);
      await tabTo(page, "copy");
      await press(page, "Enter");
      await shows(page, ".snippet .copy", /Copied/);
      await focusGoesTo(page, "copy");
      await tabTo(page, "language", "Shift+Tab");
      await press(page, "Enter");
      await shows(page, "#verdict", /服务器/);
      await focusGoesTo(page, "language");
      await press(page, " ");
      await shows(page, "#verdict", /This server works/);

      await page.goto(`${server.plainUrl}/diag#k=${await server.invitation("any")}`);
      await shows(page, "#access-note", /given credentials/);
      if (size === kSizes[0]) {
        await tabTo(page, "start");
        await press(page, "Enter");
        await until("the end of the test", () =>
          page.evaluate(() => !document.getElementById("copy").disabled), 80_000);
        await focusGoesTo(page, "start");
      }
      await assertAllReached(page);
      await tabTo(page, "Use other credentials");
      await press(page, "Enter");
      await shows(page, "#own-form", /API key/);
      await tabTo(page, "The report as JSON");
      await press(page, "Enter");
      assert.ok((await assertAllReached(page)).includes("report"));

      await page.goto(`${server.plainUrl}/stats`);
      await shows(page, "#lock", /Token/);
      await focusGoesTo(page, "token");
      await page.keyboard.type("keyboard");
      await press(page, "Enter");
      await shows(page, "#board", /Allocations/);
      await until("the heading to have the focus", () => page.evaluate(() => document.activeElement.matches("h1")));
      await assertAllReached(page);
      await tabTo(page, "As a table");
      await press(page, "Enter");
      await assertAllReached(page);
      await tabTo(page, "leave");
      await press(page, "Enter");
      await focusGoesTo(page, "token");
    }
  }, { limit: 240_000 });
}

testInBrowser("Chromium", async ({ browser, cleanUp }, viewport) => {
  const page = await browser.newPage({ viewport });
  cleanUp(() => page.context().close());
  return page;
});

if (existsSync(Firefox.executable)) {
  // In a Firefox of its own: where the windows of other tests have left the focus is not known.
  testInBrowser("Firefox", async ({ server, cleanUp }, viewport) => {
    const browser = await Firefox.start({ authority: server.authority });
    cleanUp(() => browser.stop());
    const page = await browser.newPage({ cleanUp });
    await page.setViewport(viewport);
    return page;
  });
} else {
  skipped("Firefox by keyboard", `${Firefox.executable} is not there`);
}
