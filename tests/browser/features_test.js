// What the call page offers beyond picture and sound, each by what people see of it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import {
  assertNoTroubles, connectionFacts, until, waitForPictures, waitForText,
} from "./chromium.js";
import { Firefox } from "./firefox.js";
import { lookAt } from "./looks.js";
import { skipped, test } from "./testing.js";
import { kApiKey, Turnpike } from "./turnpike.js";

const run = promisify(execFile);
const kZbar = "/usr/bin/zbarimg";
// One red pixel.
const kPicture = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmM" +
  "IQAAAABJRU5ErkJggg==", "base64");

const sha256 = (content) => createHash("sha256").update(content).digest("hex");

async function people({ server, browser, cleanUp, base }, room, names, query = {}) {
  const pages = [];
  const invitation = await server.invitation(room);
  for (const name of names) {
    const page = await browser.newPage();
    cleanUp(() => page.context().close());
    await page.goto(await server.roomUrl(room, { invitation, base, query: { ...query, name } }));
    await waitForText(page, "#phase", pages.length === 0 ? /Waiting/ : /In a call/);
    pages.push(page);
  }
  for (const page of pages) {
    await until("everybody connected", () => page.evaluate((count) => {
      const open = window.rememberedConnections.filter(
        ({ connectionState }) => connectionState === "connected");
      return open.length === count;
    }, names.length - 1));
  }
  return pages;
}

const attach = (page, name, mimeType, buffer) =>
  page.locator("#files").setInputFiles([{ name, mimeType, buffer }]);

// What a click downloads.
async function download(page, selector) {
  const [file] = await Promise.all([
    page.waitForEvent("download"), page.locator(selector).click(),
  ]);
  return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
}

test("a file is offered, accepted and arrives whole", async (shared) => {
  const [ann, ben] = await people(shared, "files", ["Ann", "Ben"]);
  const content = randomBytes(3_000_000);
  await attach(ann, "计划 <b>.bin", "application/octet-stream", content);
  await waitForText(ben, ".file .file-name", /计划 <b>\.bin · 3 MB/);
  await waitForText(ann, ".file .file-state", /Waiting for an answer/);
  await ben.locator(".file .accept").click();
  await waitForText(ben, ".file .file-state", /Received/);
  await waitForText(ann, ".file .file-state", /Sent/);
  const file = await download(ben, ".file .save");
  assert.equal(sha256(file.content), sha256(content));
  await lookAt(ann, "file-sent");
  await lookAt(ben, "file-received");
  await assertNoTroubles(ann, ben);
});

test("a file can be declined, and a running one cancelled", async (shared) => {
  const server = await Turnpike.start({ "--max-bps": 200_000 });
  shared.cleanUp(() => server.stop());
  const query = { relay: "1", transport: "udp", video: "0", audio: "0" };
  const [ann, ben] = await people({ ...shared, server, base: server.plainUrl }, "refusals", ["Ann", "Ben"], query);
  await attach(ann, "unwanted.bin", "application/octet-stream", randomBytes(1000));
  await ben.locator(".file .decline").click();
  await waitForText(ann, ".file .file-state", /Declined/);
  await attach(ann, "large.bin", "application/octet-stream", randomBytes(8_000_000));
  await ben.locator(".file:last-child .accept").click();
  await waitForText(ben, ".file:last-child .file-state", /of 8 MB/);
  await lookAt(ben, "file-coming");
  await ben.locator(".file:last-child .cancel").click();
  await waitForText(ann, ".file:last-child .file-state", /Cancelled/);
  await waitForText(ben, ".file:last-child .file-state", /Cancelled/);
});

test("a file that is too large is refused, and both are told", async (shared) => {
  const [ann, ben] = await people(shared, "huge", ["Ann", "Ben"]);
  // More than a gigabyte that is nowhere: the same bytes again and again.
  await ann.evaluate(() => {
    const part = new Blob([new Uint8Array(64 << 20)]);
    const carried = new DataTransfer();
    carried.items.add(new File(Array(17).fill(part), "film.iso"));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
  });
  await waitForText(ben, ".file .file-state", /1\.1 GB is too large/);
  await waitForText(ann, ".file .file-state", /Too large .*up to 1 GB/);
  assert.equal(await ben.locator(".file .accept").isVisible(), false);
  await assertNoTroubles(ann, ben);
});

test("a file goes on where it stopped after the server was killed", async (shared) => {
  const server = await Turnpike.start({ "--max-bps": 400_000 });
  shared.cleanUp(() => server.stop());
  const query = { relay: "1", transport: "udp", video: "0", audio: "0", synthetic: "1" };
  const [ann, ben] = await people({ ...shared, server, base: server.plainUrl }, "resumed", ["Ann", "Ben"], query);
  const content = randomBytes(3_000_000);
  await attach(ann, "long.bin", "application/octet-stream", content);
  await ben.locator(".file .accept").click();
  const progress = () => ben.evaluate(() => document.querySelector(".file progress").value);
  const before = await until("a part of it", async () => {
    const share = await progress();
    return share > 0.1 ? share : 0;
  });
  await server.restart();
  await waitForText(ben, ".file .file-state", /Interrupted/);
  const paused = await progress();
  assert.ok(paused >= before && paused < 1, `${before} ${paused}`);
  await until("more of it", async () => (await progress()) > paused);
  assert.ok((await progress()) >= paused, "from where it stopped");
  await waitForText(ben, ".file .file-state", /Received/);
  assert.equal(await ben.locator(".file").count(), 1, "offered once");
  const file = await download(ben, ".file .save");
  assert.equal(sha256(file.content), sha256(content));
}, { limit: 150_000 });

test("a file that is asked for twice arrives once", async (shared) => {
  const [ann, ben] = await people(shared, "twice", ["Ann", "Ben"]);
  await ben.evaluate(() => {
    const { send } = RTCDataChannel.prototype;
    RTCDataChannel.prototype.send = function sendTwice(data) {
      send.call(this, data);
      if (typeof data !== "string" || !data.includes('"accept"')) return;
      // Again when the first bytes have come.
      const timer = setInterval(() => {
        if (!(document.querySelector(".file progress").value > 0)) return;
        clearInterval(timer);
        window.askedTwice = true;
        send.call(this, data);
      }, 5);
    };
  });
  const content = randomBytes(4_000_000);
  await attach(ann, "film.bin", "application/octet-stream", content);
  await ben.locator(".file .accept").click();
  await waitForText(ben, ".file .file-state", /Received/);
  await waitForText(ann, ".file .file-state", /Sent/);
  await until("the second question", () => ben.evaluate(() => window.askedTwice));
  const file = await download(ben, ".file .save");
  assert.equal(sha256(file.content), sha256(content));
  await assertNoTroubles(ann, ben);
});

test("pictures show at once, dropped files too, and scripts in pictures do not", async (shared) => {
  const [ann, ben] = await people(shared, "pictures", ["Ann", "Ben"]);
  await ann.evaluate((base64) => {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], "red.png", { type: "image/png" }));
    for (const type of ["dragover", "drop"]) {
      document.body.dispatchEvent(
        new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true }));
    }
  }, kPicture.toString("base64"));
  await ben.locator(".file img").waitFor({ state: "visible" });
  await until("the picture", () => ben.evaluate(() =>
    document.querySelector(".file img").naturalWidth === 1));
  const nasty = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
  await attach(ann, "nasty.svg", "image/svg+xml", nasty);
  await ben.locator(".file:last-child .accept").click();
  await waitForText(ben, ".file:last-child .file-state", /Received/);
  assert.equal(await ben.locator(".file:last-child img").isVisible(), false);
  await assertNoTroubles(ann, ben);
});

// In the page: a second of the microphone's sound, by the picture's clock.
const aSecond = () => new Promise((done) => {
  const video = document.querySelector(".tile.own video");
  const begin = video.currentTime;
  video.addEventListener("timeupdate", () => video.currentTime > begin + 1 && done());
});

test("a voice message is recorded and can be heard by the other", async (shared) => {
  const [ann, ben] = await people(shared, "voice", ["Ann", "Ben"]);
  await ann.locator("#voice").click();
  await waitForText(ann, "#recording-voice", /Recording/);
  await ann.locator("#voice-cancel").click();
  await ann.locator("#recording-voice").waitFor({ state: "hidden" });
  assert.equal(await ben.locator(".file").count(), 0);
  await ann.locator("#voice").click();
  await waitForText(ann, "#recording-voice", /Recording/);
  await ann.evaluate(aSecond);
  await ann.locator("#voice").click();
  await ben.locator(".file audio").waitFor({ state: "visible" });
  const heard = await ben.evaluate(async () => {
    const audio = document.querySelector(".file audio");
    audio.muted = true;
    await audio.play();
    await new Promise((done) => audio.addEventListener("timeupdate", () =>
      audio.currentTime > 0.2 && done()));
    return audio.currentTime;
  });
  assert.ok(heard > 0.2);
  await assertNoTroubles(ann, ben);
});

// Headless browsers have no screen: a canvas stands in for what getDisplayMedia would give.
const standInForScreen = () => {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 800, height: 450 });
    const paint = canvas.getContext("2d");
    setInterval(() => {
      paint.fillStyle = `hsl(${performance.now() % 360} 80% 50%)`;
      paint.fillRect(0, 0, 800, 450);
    }, 50);
    window.screenStream = canvas.captureStream(20);
    return window.screenStream;
  };
};

test("the screen is shared in place of the camera, and the camera comes back", async (shared) => {
  const [ann, ben] = await people(shared, "screen", ["Ann", "Ben"]);
  await ann.evaluate(standInForScreen);
  const shape = () => ben.evaluate(() => {
    const video = document.querySelector(".tile:not(.own) video");
    return Math.round((100 * video.videoWidth) / video.videoHeight);
  });
  await until("the camera", async () => (await shape()) === 133);
  await ann.locator("#screen").click();
  await until("the screen", async () => (await shape()) === 178);
  await ben.locator(".tile.screen:not(.own)").waitFor();
  await waitForText(ann, "#screen", /Stop sharing/);
  // Camera off is no black screen.
  await ann.locator("#camera").click();
  assert.equal(await ann.evaluate(() => window.screenStream.getVideoTracks()[0].enabled), true);
  await ann.locator("#camera").click();
  await ann.locator("#screen").click();
  await until("the camera again", async () => (await shape()) === 133);
  assert.equal(await ann.evaluate(() => window.screenStream.getVideoTracks()[0].readyState), "ended");
  await assertNoTroubles(ann, ben);
});

test("M, V and S switch microphone, camera and screen, until that is turned off", async (shared) => {
  const [ann, ben] = await people(shared, "letters", ["Ann", "Ben"]);
  await ann.evaluate(standInForScreen);
  await ann.keyboard.press("m");
  await ben.locator(".tile:not(.own) .muted").waitFor({ state: "visible" });
  await waitForText(ann, "#told", /Microphone off/);
  await ann.keyboard.press("Shift+M");
  await ben.locator(".tile:not(.own) .muted").waitFor({ state: "hidden" });
  await ann.keyboard.press("v");
  await ben.locator(".tile:not(.own) .cover").waitFor({ state: "visible" });
  await ann.keyboard.press("v");
  await ben.locator(".tile:not(.own) .cover").waitFor({ state: "hidden" });
  await ann.keyboard.press("s");
  await ben.locator(".tile.screen:not(.own)").waitFor();
  await ann.keyboard.press("s");
  await ben.locator(".tile.screen:not(.own)").waitFor({ state: "detached" });
  // In a field a letter is a letter, and with Control it is the browser's.
  await ann.locator("#chat-text").focus();
  await ann.keyboard.type("msv");
  assert.equal(await ann.locator("#chat-text").inputValue(), "msv");
  await waitForText(ann, "#microphone", /Mute/);
  await ann.locator("#more").focus();
  await ann.keyboard.press("Control+m");
  await waitForText(ann, "#microphone", /Mute/);
  await ann.keyboard.press("Enter");
  await ann.locator("#keys").uncheck();
  await ann.locator("#more-close").click();
  for (const key of ["m", "v", "s"]) await ann.keyboard.press(key);
  assert.equal(await ann.locator("#microphone").getAttribute("aria-keyshortcuts"), null);
  for (const [id, words] of [["microphone", /Mute/], ["camera", /Camera off/], ["screen", /Share/]]) {
    await waitForText(ann, `#${id}`, words);
  }
  await ann.reload();
  await waitForText(ann, "#phase", /In a call/);
  await ann.keyboard.press("m");
  assert.equal(await ann.locator("#keys").isChecked(), false, "remembered");
  await waitForText(ann, "#microphone", /Mute/);
  await assertNoTroubles(ann, ben);
});

// What the browser tells screen readers to read out by themselves, by id.
const readOut = async (page) => {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  const live = nodes.filter(({ properties = [] }) =>
    properties.some(({ name, value }) => name === "live" && value.value === "polite"));
  return Promise.all(live.map(async ({ backendDOMNodeId }) => {
    const { node } = await session.send("DOM.describeNode", { backendNodeId: backendDOMNodeId });
    const { attributes = [] } = node;
    return attributes[attributes.indexOf("id") + 1];
  }));
};

test("screen readers are told of messages, of who comes and goes, and of the phase", async (shared) => {
  const [ann, ben] = await people(shared, "read-out", ["Ann", "Ben"]);
  await waitForText(ann, "#chat-log", /Ben came in/);
  await ben.locator("#chat-text").fill("hello");
  await ben.keyboard.press("Enter");
  await waitForText(ann, "#chat-log", /hello/);
  await ben.locator("#hang-up").click();
  await waitForText(ann, "#chat-log", /Ben left/);
  const live = await readOut(ann);
  for (const id of ["chat-log", "phase", "told"]) assert.ok(live.includes(id), `${id} of ${live}`);
  await assertNoTroubles(ann);
});

// In the page: what a finger has to hit and is smaller than 44 pixels; a label counts as its box.
const smallTargets = () => [...document.querySelectorAll("a[href], button, input, select, summary, audio[controls]")]
  .filter((element) => element.checkVisibility())
  .map((element) => ({ element, box: (element.closest("label") ?? element).getBoundingClientRect() }))
  .filter(({ box }) => box.height < 43.9 || box.width < 43.9)
  .map(({ element, box }) => `${element.id || element.outerHTML.slice(0, 80)} ${box.width}x${box.height}`);

test("fingers find targets of 44 pixels on a phone", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const page = await browser.newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  cleanUp(() => page.context().close());
  const assertLarge = async (state) => assert.deepEqual(await page.evaluate(smallTargets), [], state);
  const [ben] = await people(shared, "fingers", ["Ben"]);
  const query = { prejoin: "1", synthetic: "1" };
  await page.goto(await server.roomUrl("fingers", { query }));
  await page.locator("#enter:enabled").waitFor();
  await assertLarge("before the call");
  await page.locator("#enter").tap();
  await waitForText(page, "#phase", /In a call/);
  await attach(ben, "plan.bin", "application/octet-stream", Buffer.alloc(1000));
  await page.locator(".file .accept").waitFor();
  await assertLarge("in the call, with a file");
  await page.locator("#voice").tap();
  await page.locator("#voice-cancel").waitFor();
  await assertLarge("with a voice message");
  await page.locator("#more").tap();
  await assertLarge("the dialog");
  await page.locator("#invite").tap();
  await page.locator("#share-close").waitFor();
  await assertLarge("the invitation");
  await page.locator("#hang-up").tap();
  await page.locator("#again").waitFor();
  await assertLarge("after the call");
  await page.goto(server.plainUrl);
  await waitForText(page, "#check-signaling", /answered/);
  await assertLarge("the start page");
  await page.goto(`${server.plainUrl}/diag`);
  await page.locator("#own[open]").waitFor();
  await assertLarge("the connection test");
});

test("the test picture stands still for those who asked for less motion", async ({ server, browser, cleanUp }) => {
  // In the page: whether the waves (not the clock above them) change while a second passes.
  const wavesMove = () => new Promise((done) => {
    const video = document.querySelector(".tile.own video");
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
    const paint = canvas.getContext("2d", { willReadFrequently: true });
    const read = () => {
      paint.drawImage(video, 0, 0, 640, 360);
      return paint.getImageData(0, 300, 640, 60).data;
    };
    const first = read();
    const begin = video.currentTime;
    video.addEventListener("timeupdate", () => {
      if (video.currentTime < begin + 1) return;
      const last = read();
      done(first.some((value, index) => Math.abs(value - last[index]) > 8));
    });
  });
  for (const [reducedMotion, moves] of [["no-preference", true], ["reduce", false]]) {
    const page = await browser.newPage({ reducedMotion });
    cleanUp(() => page.context().close());
    await page.goto(await server.roomUrl("motion", { query: { synthetic: "1" } }));
    await waitForText(page, "#phase", /Waiting|In a call/);
    await until("the picture", () => page.evaluate(() =>
      document.querySelector(".tile.own video").videoWidth > 0));
    assert.equal(await page.evaluate(wavesMove), moves, reducedMotion);
    const animated = await page.evaluate(() => [...document.querySelectorAll("*")].filter((element) => {
      const { animationName, transitionDuration } = getComputedStyle(element);
      return animationName !== "none" || transitionDuration !== "0s";
    }).length);
    assert.equal(animated, 0, "nothing else is animated");
    await page.close();
  }
});

test("before the call one sees oneself, chooses, and is remembered", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  const url = await server.roomUrl("before", { query: { prejoin: "1", video: "0" } });
  await page.goto(url);
  await page.locator("#enter:enabled").waitFor();
  await waitForText(page, "#phase", /Not in the room yet/);
  assert.equal(await page.locator("#prejoin-camera").isChecked(), false, "?video=0");
  assert.equal(await page.locator("#preview-off").isVisible(), true);
  await page.locator("#prejoin-camera").check();
  await until("a preview that moves", () => page.evaluate(() => {
    const video = document.getElementById("preview");
    return video.videoWidth > 0 && video.currentTime > 0;
  }));
  await page.locator("#prejoin-microphone").uncheck();
  const pick = page.locator("#prejoin select[data-kind=audioinput]");
  const values = await pick.locator("option").evaluateAll((all) => all.map(({ value }) => value));
  assert.ok(values.length >= 2, "several fake microphones");
  const chosen = values.at(-1);
  await pick.selectOption(chosen);
  await until("the choice remembered", () => page.evaluate(
    (value) => localStorage.getItem("turnpike.device.audio") === value, chosen));
  await page.locator("#prejoin-name").fill("Zoë");
  await page.keyboard.press("Enter");
  await waitForText(page, "#phase", /Waiting for others/);
  await waitForText(page, ".tile.own .name", /Zoë/);
  await waitForText(page, "#microphone", /Unmute/);
  await page.reload();
  await waitForText(page, "#phase", /Waiting for others/);
  // Another room asks again, and knows what was chosen.
  await page.goto((await server.roomUrl("before-2", { query: { prejoin: "1" } })));
  await page.locator("#enter:enabled").waitFor();
  assert.equal(await page.locator("#prejoin-name").inputValue(), "Zoë");
  await until("the chosen microphone", async () => (await pick.inputValue()) === chosen);
  await assertNoTroubles(page);
});

test("a device that is pulled out is replaced, and another can be chosen in the call", async (shared) => {
  const [ann, ben] = await people(shared, "swap", ["Ann", "Ben"]);
  await waitForPictures(ben);
  const sent = () => ann.evaluate(() => {
    const { track } = window.rememberedConnections.at(-1).getSenders()
      .find((sender) => sender.track?.kind === "audio");
    return { id: track.id, state: track.readyState, device: track.getSettings().deviceId };
  });
  const first = await sent();
  await ann.evaluate(() => {
    const [track] = document.querySelector(".tile.own video").srcObject.getAudioTracks();
    track.stop();
    track.dispatchEvent(new Event("ended"));
  });
  const second = await until("another track", async () => {
    const now = await sent();
    return now.id !== first.id && now.state === "live" ? now : null;
  });
  await ann.locator("#more").click();
  const pick = ann.locator("#more-dialog select[data-kind=audioinput]");
  await until("the list", async () => (await pick.locator("option").count()) > 1);
  const values = await pick.locator("option").evaluateAll((all) => all.map(({ value }) => value));
  const other = values.find((value) => value !== second.device);
  await pick.selectOption(other);
  await until("the chosen device", async () => (await sent()).device === other);
  await ann.locator("#more-close").click();
  await assertNoTroubles(ann, ben);
});

test("statistics lie over the picture when asked for", async (shared) => {
  const [ann, ben] = await people(shared, "statistics", ["Ann", "Ben"], { relay: "1" });
  assert.equal(await ann.locator(".tile:not(.own) .stats").isVisible(), false);
  await ann.locator("#more").click();
  await ann.locator("#statistics").click();
  await waitForText(ann, ".tile:not(.own) .stats", /relay\/(udp|tcp|tls)[\s\S]*\d+ ms[\s\S]*bit\/s, \d/);
  await waitForText(ann, ".tile:not(.own) .stats", /\d+×\d+/);
  await ann.locator("#more").click();
  await ann.locator("#statistics").click();
  await ann.locator(".tile:not(.own) .stats").waitFor({ state: "hidden" });
  await assertNoTroubles(ann, ben);
});

// In the page: plays it, and answers how large its picture is.
const playFilm = async (base64) => {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const video = document.createElement("video");
  video.muted = true;
  video.src = URL.createObjectURL(new Blob([bytes]));
  await video.play();
  await new Promise((done) => video.addEventListener("timeupdate", () =>
    video.currentTime > 0.5 && done()));
  return { width: video.videoWidth, height: video.videoHeight };
};

// In the page: how many pieces recorders have given that hold something. The first is not before
// the encoders have begun.
const countPieces = () => {
  const Original = window.MediaRecorder;
  window.piecesRecorded = 0;
  window.MediaRecorder = class extends Original {
    constructor(...settings) {
      super(...settings);
      this.addEventListener("dataavailable", ({ data }) => {
        if (data.size > 0) window.piecesRecorded += 1;
      });
    }
  };
};

async function record(page) {
  await page.evaluate(countPieces);
  await page.locator("#more").click();
  await page.locator("#record").click();
  await page.locator("#notice-recording").waitFor();
  await until("two seconds of it", () => page.evaluate(() => window.piecesRecorded > 2));
}

test("the call is recorded to a file that plays", async (shared) => {
  const [ann, ben] = await people(shared, "recording", ["Ann", "Ben"]);
  await waitForPictures(ann);
  await record(ann);
  await waitForText(ann, "#notice-recording", /You are recording this call\. Tell/);
  await lookAt(ann, "recording");
  const film = await download(ann, "#record-stop");
  assert.match(film.name, /^call-\d{14}\.(webm|mp4)$/);
  await ann.locator("#notice-recording").waitFor({ state: "hidden" });
  const facts = await ben.evaluate(playFilm, film.content.toString("base64"));
  assert.deepEqual(facts, { width: 1280, height: 720 });
  await assertNoTroubles(ann, ben);
});

test("a recording without sound, and one that cannot be made, are explained", async (shared) => {
  const [ann] = await people(shared, "mute", ["Ann"]);
  await ann.evaluate(() => {
    window.AudioContext = class extends AudioContext {
      get state() {
        return "suspended";
      }
    };
  });
  await record(ann);
  await waitForText(ann, "#notice-recording", /without sound/);
  const film = await download(ann, "#record-stop");
  const facts = await ann.evaluate(playFilm, film.content.toString("base64"));
  assert.deepEqual(facts, { width: 1280, height: 720 });
  await ann.evaluate(() => {
    window.MediaRecorder = class {
      constructor() {
        throw new DOMException("not here", "NotSupportedError");
      }
    };
  });
  await ann.locator("#more").click();
  await ann.locator("#record").click();
  await waitForText(ann, "#notice-unrecorded", /could not record/);
  assert.equal(await ann.locator("#notice-recording").isVisible(), false);
  await ann.locator("#voice").click();
  await waitForText(ann, "#chat-log", /could not record a voice message/);
  assert.equal(await ann.locator("#recording-voice").isVisible(), false);
  await assertNoTroubles(ann);
});

test("a new network makes the call look for paths again", async (shared) => {
  const [ann, ben] = await people(shared, "network", ["Ann", "Ben"]);
  const ufrag = () => ann.evaluate(() => /a=ice-ufrag:(\S+)/.exec(
    window.rememberedConnections[0].localDescription.sdp)[1]);
  const before = await ufrag();
  await ann.evaluate(() => dispatchEvent(new Event("online")));
  await until("new ICE credentials", async () => (await ufrag()) !== before);
  await waitForPictures(ben);
  await waitForText(ann, "#phase", /In a call with 1/);
  await assertNoTroubles(ann, ben);
});

test("whoever is removed is told so", async (shared) => {
  const { server } = shared;
  const [ann, ben] = await people(shared, "kicked", ["Ann", "Ben"]);
  const headers = { Authorization: `Bearer ${kApiKey}` };
  const { rooms } = await (await fetch(`${server.plainUrl}/api/rooms`, { headers })).json();
  const { id } = rooms.find(({ room }) => room === "kicked").members
    .find(({ name }) => name === "Ben");
  await fetch(`${server.plainUrl}/api/rooms/kicked/members/${id}`, { method: "DELETE", headers });
  await waitForText(ben, "#over-title", /You were removed/);
  await lookAt(ben, "removed");
  await waitForText(ann, "#phase", /Waiting for others/);
  await assertNoTroubles(ann, ben);
});

test("six people see each other", async (shared) => {
  const names = ["Ann", "Ben", "Cem", "Dao", "Eva", "Fei"];
  const pages = await people(shared, "six", names, { synthetic: "1", relay: "1", transport: "udp" });
  for (const page of [pages[0], pages[5]]) {
    await until("five pictures", async () => {
      const facts = await connectionFacts(page);
      return facts.filter(({ framesDecoded }) => framesDecoded > 0).length === 5;
    }, 120_000);
    await waitForText(page, "#phase", /In a call with 5/);
    assert.equal(await page.locator(".tile").count(), 6);
    assert.equal(await page.locator("#notice-crowd").isVisible(), false);
  }
  await lookAt(pages[0], "six");
}, { limit: 300_000 });

test("picture in picture shows the other one", async (shared) => {
  const [ann] = await people(shared, "floating", ["Ann", "Ben"]);
  await waitForPictures(ann);
  await ann.locator("#more").click();
  await ann.locator("#picture").click();
  await until("a window of its own", () => ann.evaluate(() =>
    document.pictureInPictureElement === document.querySelector(".tile:not(.own) video")));
});

if (!existsSync(kZbar)) {
  skipped("the code of the link can be read", `${kZbar} is not there`);
} else {
  test("the code of the link can be read", async ({ server, browser, cleanUp }) => {
    const folder = await mkdtemp(join(tmpdir(), "turnpike-code-"));
    cleanUp(() => rm(folder, { recursive: true, force: true }));
    const page = await browser.newPage({ deviceScaleFactor: 3, colorScheme: "dark" });
    cleanUp(() => page.context().close());
    await page.goto(await server.roomUrl("二维码"));
    await page.locator("#share-code").waitFor({ state: "visible" });
    const path = join(folder, "code.png");
    await page.locator("#share-code").screenshot({ path });
    const { stdout } = await run(kZbar, ["-q", "--raw", path]);
    assert.equal(stdout.trim(), await page.locator("#share-link").inputValue());
  });

  test("codes of every size can be read", async ({ cleanUp }) => {
    const folder = await mkdtemp(join(tmpdir(), "turnpike-codes-"));
    cleanUp(() => rm(folder, { recursive: true, force: true }));
    const source = await readFile(new URL("../../signaling/web/qr.js", import.meta.url), "base64");
    const { qrCode } = await import(`data:text/javascript;base64,${source}`);
    const sizes = new Set();
    for (const length of [1, 17, 18, 53, 78, 106, 134, 154, 192, 230, 271, 321, 425, 520, 644, 858]) {
      const text = "https://turn.example/call/quiet-otter-42#k=".repeat(20).slice(0, length);
      const rows = qrCode(text);
      sizes.add(rows.length);
      const path = join(folder, "code.pgm");
      await writePicture(path, rows);
      const { stdout } = await run(kZbar, ["-q", "--raw", path]);
      assert.equal(stdout.trim(), text, `${length} bytes`);
    }
    assert.ok(sizes.size > 12, "as many versions");
    assert.equal(qrCode("x".repeat(859)), null);
  });
}

async function writePicture(path, rows) {
  const scale = 4;
  const size = (rows.length + 8) * scale;
  const pixels = Buffer.alloc(size * size, 255);
  rows.forEach((row, y) => row.forEach((dark, x) => {
    for (let line = 0; dark && line < scale; line += 1) {
      const begin = ((y + 4) * scale + line) * size + (x + 4) * scale;
      pixels.fill(0, begin, begin + scale);
    }
  }));
  await writeFile(path, Buffer.concat([Buffer.from(`P5\n${size} ${size}\n255\n`), pixels]));
}

// In the page: what a click on a link would download, as {name, size} in window.caught.
const catchDownload = () => {
  const blobs = new Map();
  const original = URL.createObjectURL;
  URL.createObjectURL = (blob) => {
    const url = original(blob);
    blobs.set(url, blob);
    return url;
  };
  HTMLAnchorElement.prototype.click = function click() {
    window.caughtBlob = blobs.get(this.href);
    window.caught = { name: this.download, size: window.caughtBlob.size };
  };
};

// In the page: plays what was caught, to its end.
const playCaught = async () => {
  const video = document.createElement("video");
  video.muted = true;
  const over = new Promise((done, failed) => {
    video.addEventListener("ended", done);
    video.addEventListener("error", () => failed(new Error(`no film: ${video.error.message}`)));
  });
  video.src = URL.createObjectURL(window.caughtBlob);
  await Promise.all([video.play(), over]);
  const { videoWidth: width, videoHeight: height, duration } = video;
  return { width, height, duration, frames: video.getVideoPlaybackQuality().totalVideoFrames };
};

const kFirefoxScreen = "in Firefox the screen is shared, and the call is recorded to a file that plays";
const kFirefox = "Firefox and Chromium exchange files and voice messages";
if (!existsSync(Firefox.executable)) {
  for (const name of [kFirefox, kFirefoxScreen]) skipped(name, `${Firefox.executable} is not there`);
} else {
  test(kFirefox, async ({ server, browser, openFirefox, cleanUp }) => {
    const ann = await (await openFirefox()).newPage({ cleanUp });
    await ann.setViewport({ width: 1280, height: 800 });
    const ben = await browser.newPage();
    cleanUp(() => ben.context().close());
    const invitation = await server.invitation("both");
    const query = { relay: "1", transport: "udp", synthetic: "1" };
    await ann.goto(await server.roomUrl("both", { invitation, base: server.plainUrl, query }));
    await ben.goto(await server.roomUrl("both", { invitation, query }));
    await waitForPictures(ben);
    const content = randomBytes(500_000);
    await attach(ben, "from-chromium.bin", "application/octet-stream", content);
    await (await ann.waitForSelector(".file .accept", { visible: true })).click();
    await waitForText(ben, ".file .file-state", /Sent/);
    const folder = await mkdtemp(join(tmpdir(), "turnpike-upload-"));
    cleanUp(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "from-firefox.bin"), Buffer.alloc(400_000, 7));
    await (await ann.$("#files")).uploadFile(join(folder, "from-firefox.bin"));
    await ben.locator(".file.other .accept").click();
    await waitForText(ben, ".file.other .file-state", /Received/);
    const file = await download(ben, ".file.other .save");
    assert.equal(sha256(file.content), sha256(Buffer.alloc(400_000, 7)));
    await (await ann.$("#voice")).click();
    await ann.waitForSelector("#recording-voice", { visible: true });
    await ann.evaluate(aSecond);
    await (await ann.$("#voice")).click();
    await ben.locator(".file.other:last-child audio").waitFor({ state: "visible" });
  });

  test(kFirefoxScreen, async ({ server, browser, openFirefox, cleanUp }) => {
    const ann = await (await openFirefox()).newPage({ cleanUp });
    await ann.setViewport({ width: 1280, height: 800 });
    const ben = await browser.newPage();
    cleanUp(() => ben.context().close());
    const invitation = await server.invitation("seen");
    await ann.goto(await server.roomUrl("seen", { invitation, base: server.plainUrl, query: { relay: "1", transport: "udp" } }));
    await ben.goto(await server.roomUrl("seen", { invitation, query: { relay: "1", transport: "udp", synthetic: "1" } }));
    await waitForPictures(ben);

    // Firefox without a window has no screen to give: getDisplayMedia looks for X11's or PipeWire's,
    // finds none and says NotFoundError before it asks anybody. media.navigator.streams.fake makes
    // cameras and microphones only. So first what the page does with that, then a canvas as elsewhere.
    await (await ann.$("#screen")).click();
    await ann.waitForFunction(() => document.querySelector("#notice-screen:not([hidden])"));
    await ann.evaluate(standInForScreen);
    const shape = () => ben.evaluate(() => {
      const video = document.querySelector(".tile:not(.own) video");
      return Math.round((100 * video.videoWidth) / video.videoHeight);
    });
    await until("the camera", async () => (await shape()) === 133);
    await (await ann.$("#screen")).click();
    await until("the screen", async () => (await shape()) === 178);
    await (await ann.$("#screen")).click();
    await until("the camera again", async () => (await shape()) === 133);

    // The recording goes to a link that is clicked; its content is caught there.
    await ann.evaluate(catchDownload);
    await ann.evaluate(countPieces);
    await (await ann.$("#more")).click();
    await (await ann.$("#record")).click();
    await ann.waitForSelector("#notice-recording", { visible: true });
    await until("two seconds of it", () => ann.evaluate(() => window.piecesRecorded > 1));
    await (await ann.$("#record-stop")).click();
    const film = await until("the recording", () => ann.evaluate(() => window.caught));
    assert.match(film.name, /^call-\d{14}\.(webm|mp4)$/);
    const facts = await ann.evaluate(playCaught);
    assert.deepEqual([facts.width, facts.height], [1280, 720]);
    assert.ok(facts.duration > 0.5, `${facts.duration} s`);
    assert.ok(facts.frames > 0, `${facts.frames} frames`);
  });
}
