// The echo endpoint: real browsers get their own pictures, sound and messages back.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";

import { until, waitForPictures, waitForText } from "./chromium.js";
import { Firefox } from "./firefox.js";
import { skipped, test } from "./testing.js";
import { Turnpike } from "./turnpike.js";

// Runs in the page: one guest of the echo, whose facts are left in window.echo.
async function meetEcho({ invitation, policy, transport, wrongFingerprint }) {
  const facts = { statistics: [], words: [], heard: [], drawn: 0, members: null, refused: null };
  window.echo = facts;
  // The tones of fake microphones are taken for noise.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const media = await navigator.mediaDevices.getUserMedia({ audio, video: true });
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/ws`);
  const say = (message) => socket.send(JSON.stringify(message));
  const send = (data) => say({ type: "send", to: "echo", data });
  let connection = null;
  facts.leave = () => say({ type: "leave" });

  const spoil = (sdp) => sdp.replace(/^(a=fingerprint:sha-256 )(..)/gm, (all, head, byte) =>
    head + (byte === "00" ? "01" : "00"));
  const listen = (channel) => {
    channel.binaryType = "arraybuffer";
    channel.onopen = () => {
      channel.send("hello, echo");
      channel.send(new Uint8Array([1, 2, 3, 250]));
      channel.send("x".repeat(50_000));
    };
    channel.onmessage = ({ data }) => {
      facts.heard.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
    };
  };
  const show = (stream) => {
    const video = Object.assign(document.createElement("video"), { autoplay: true, muted: true });
    video.srcObject = new MediaStream(stream.getVideoTracks());
    // What is muted has no level either.
    const audio = Object.assign(document.createElement("audio"), { autoplay: true });
    audio.srcObject = new MediaStream(stream.getAudioTracks());
    document.body.append(video, audio);
    const count = () => {
      facts.drawn += 1;
      video.requestVideoFrameCallback(count);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(count);
  };
  const offer = async (iceServers) => {
    const only = ({ urls, ...rest }) => ({
      ...rest, urls: [urls].flat().filter((url) => url.includes(`transport=${transport}`)),
    });
    const named = transport ? iceServers.map(only).filter(({ urls }) => urls.length) : iceServers;
    const chosen = policy === "relay" ? named : [];
    connection = new RTCPeerConnection({ iceServers: chosen, iceTransportPolicy: policy });
    facts.connection = connection;
    connection.onicecandidate = ({ candidate }) => candidate && send({ candidate });
    connection.ontrack = ({ track, streams }) => track.kind === "video" && show(streams[0]);
    for (const track of media.getTracks()) connection.addTrack(track, media);
    listen(connection.createDataChannel("words"));
    await connection.setLocalDescription();
    const { type, sdp } = connection.localDescription;
    send({ description: { type, sdp: wrongFingerprint ? spoil(sdp) : sdp } });
  };
  const take = async (data) => {
    if (data.description) await connection.setRemoteDescription(data.description);
    else if (data.statistics) facts.statistics.push(data.statistics);
    else facts.words.push(data);
  };
  socket.onopen = () => say({ type: "join", room: "echo", invitation });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "joined") {
      facts.members = message.members;
      offer(message.iceServers ?? []).catch((error) => facts.words.push(String(error)));
    } else if (message.type === "message") {
      take(message.data).catch((error) => facts.words.push(String(error)));
    } else if (message.type === "error") {
      facts.refused = message;
    } else if (message.type === "member-left") {
      facts.left = message.member;
    }
  };
}

// Runs in the page: what can be told of it in JSON.
async function tell() {
  const { connection, statistics, leave, ...plain } = window.echo;
  const told = { ...plain, statistics: statistics.at(-1), count: statistics.length };
  if (!connection) return told;
  const report = await connection.getStats();
  const entries = [...report.values()];
  const inbound = (kind) => entries.find((one) => one.type === "inbound-rtp" && one.kind === kind);
  const transport = entries.find((one) => one.type === "transport");
  const pair = report.get(transport?.selectedCandidatePairId) ??
    entries.find((one) => one.type === "candidate-pair" && one.selected);
  told.state = connection.connectionState;
  told.frames = inbound("video")?.framesDecoded ?? 0;
  told.sound = inbound("audio")?.totalAudioEnergy ?? 0;
  told.soundPackets = inbound("audio")?.packetsReceived ?? 0;
  told.local = pair && report.get(pair.localCandidateId)?.candidateType;
  told.relayProtocol = pair && report.get(pair.localCandidateId)?.relayProtocol;
  return told;
}

const kHeard = ["hello, echo", [1, 2, 3, 250], "x".repeat(50_000)];

async function meet(page, server, wishes = {}) {
  await page.goto(`${server.plainUrl}/`); // localhost is a secure context
  const invitation = await server.invitation("echo");
  await page.evaluate(meetEcho, { policy: "all", invitation, ...wishes });
}

// Everything came back: pictures that are decoded and go on, sound that is not silence, messages.
async function assertEchoed(page, local) {
  let facts = null;
  const watch = async (done) => {
    facts = await page.evaluate(tell);
    return done(facts);
  };
  try {
    await until("pictures", () => watch(({ frames }) => frames > 30));
    const seen = facts.frames;
    await until("more pictures", () => watch(({ frames }) => frames > seen + 30));
    await until("sound", () => watch(({ sound, soundPackets }) => sound > 0 && soundPackets > 50));
    await until("messages", () => watch(({ heard }) => heard.length === kHeard.length));
    await until("statistics", () => watch(({ statistics: told }) =>
      told?.received.video?.packets > 30 && told.round_trip_ms !== undefined));
  } catch (error) {
    throw new Error(`${error.message}; last seen: ${JSON.stringify({ ...facts, heard: facts?.heard?.length })}`);
  }
  assert.deepEqual(facts.heard, kHeard);
  assert.equal(facts.state, "connected");
  assert.deepEqual(facts.words, []);
  if (local === "relay") assert.equal(facts.local, "relay");
  else assert.notEqual(facts.local, "relay");
  const { statistics: told } = facts;
  assert.equal(told.state, "connected");
  assert.equal(told.path.type, local === "relay" ? "relay" : "direct");
  assert.equal(told.path.relay_here, local === "relay");
  assert.ok(told.received.audio.packets > 50, JSON.stringify(told));
  assert.ok(told.received.video.bitrate > 0 && told.returned.packets > 100, JSON.stringify(told));
  assert.ok(told.round_trip_ms >= 0 && told.round_trip_ms < 2_000, JSON.stringify(told));
  assert.ok(told.received.video.loss < 0.2 && told.received.audio.jitter_ms < 1_000);
  assert.deepEqual(told.data.messages, kHeard.length);
  return facts;
}

async function chromiumPage({ browser, cleanUp }) {
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  return page;
}

test("Chromium hears and sees its echo over a direct path", async (shared) => {
  const page = await chromiumPage(shared);
  await meet(page, shared.server);
  const facts = await assertEchoed(page, "direct");
  assert.ok(facts.drawn > 10, "drawn frames");
  assert.deepEqual(facts.members, [{ id: "echo", name: "Echo", polite: false, away: false }]);
});

for (const transport of ["udp", "tcp"]) {
  test(`Chromium hears and sees its echo through this relay over ${transport}`, async (shared) => {
    const page = await chromiumPage(shared);
    await meet(page, shared.server, { policy: "relay", transport });
    const facts = await assertEchoed(page, "relay");
    assert.equal(facts.relayProtocol, transport);
    assert.ok(facts.drawn > 10, "drawn frames");
  });
}

// Firefox makes no pair of an address of a network and a loopback one.
const outward = Object.values(networkInterfaces()).flat().find(
  ({ family, internal }) => family === "IPv4" && !internal)?.address;

async function firefoxHears({ openFirefox, cleanUp }, server, wishes) {
  const page = await (await openFirefox()).newPage({ cleanUp });
  await meet(page, server, wishes);
  return assertEchoed(page, wishes.policy === "relay" ? "relay" : "direct");
}

if (!existsSync(Firefox.executable)) {
  skipped("Firefox hears and sees its echo", `${Firefox.executable} is not there`);
} else {
  for (const transport of ["udp", "tcp"]) {
    test(`Firefox hears and sees its echo through this relay over ${transport}`, (shared) =>
      firefoxHears(shared, shared.server, { policy: "relay", transport }));
  }
  const direct = "Firefox hears and sees its echo over a direct path";
  if (!outward) {
    skipped(direct, "this machine has no address of a network");
  } else {
    test(direct, async (shared) => {
      const server = await Turnpike.start({ "--relay-ip": outward });
      shared.cleanUp(() => server.stop());
      await firefoxHears(shared, server, { policy: "all" });
    });
  }
}

test("the call page meets the echo in the room of that name", async (shared) => {
  const page = await chromiumPage(shared);
  await page.goto(await shared.server.roomUrl("echo", { query: { relay: "1", name: "Ann" } }));
  const [facts] = await waitForPictures(page);
  assert.equal(facts.local, "relay");
  await waitForText(page, "#people", /Echo|Ann/);
});

test("the echo refuses a certificate that the offer does not name", async (shared) => {
  const page = await chromiumPage(shared);
  await meet(page, shared.server, { wrongFingerprint: true });
  const facts = await until("a refusal", async () => {
    const told = await page.evaluate(tell);
    return told.words.length > 0 ? told : null;
  });
  assert.equal(facts.words[0].closed?.code, "fingerprint-refused", JSON.stringify(facts.words));
  assert.equal(facts.frames, 0);
  assert.deepEqual(facts.heard, []);
});

test("the echo has its places and its time", async (shared) => {
  const small = await Turnpike.start({ "--echo-max": 1, "--echo-time": 8 });
  shared.cleanUp(() => small.stop());
  const [first, second] = [await chromiumPage(shared), await chromiumPage(shared)];
  await meet(first, small);
  await until("a connection", async () => (await first.evaluate(tell)).state === "connected");
  await meet(second, small);
  const refused = await until("a refusal", () => second.evaluate(() => window.echo.refused));
  assert.equal(refused.code, "room-full");
  assert.match(refused.message, /try again/);
  const facts = await until("the end", async () => {
    const told = await first.evaluate(tell);
    return told.left ? told : null;
  });
  assert.equal(facts.left, "echo");
  assert.equal(facts.words[0].ended.code, "time-limit");
  await meet(second, small);
  await until("a place", () => second.evaluate(() => window.echo.members?.length === 1));
});

test("with --no-echo the room is one like any other", async (shared) => {
  const server = await Turnpike.start({ "--no-echo": true });
  shared.cleanUp(() => server.stop());
  const page = await chromiumPage(shared);
  await meet(page, server);
  assert.deepEqual(await until("members", () => page.evaluate(() => window.echo.members)), []);
});
