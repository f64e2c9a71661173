// Every way to the relay, in Chromium and in Firefox: UDP, TCP and TLS, over IPv4 and IPv6. Two
// connections of one page may use only relayed candidates, and video has to arrive.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import { Firefox } from "./firefox.js";
import { skipped, test } from "./testing.js";
import { Turnpike } from "./turnpike.js";

const kUser = { username: "alice", credential: "correct horse" };
const kFamilies = { IPv4: "127.0.0.1", IPv6: "::1" };
const kTransports = ["udp", "tcp", "tls"];

// Runs in the page: a call with itself. Answers what was decoded and by which way, or the errors.
async function callThrough(turn) {
  const kPatience = 30_000;
  const settings = { iceServers: [turn], iceTransportPolicy: "relay" };
  const [caller, callee] = [new RTCPeerConnection(settings), new RTCPeerConnection(settings)];
  const errors = [];
  for (const [here, there] of [[caller, callee], [callee, caller]]) {
    here.onicecandidate = ({ candidate }) => there.addIceCandidate(candidate).catch(() => {});
    here.onicecandidateerror = ({ errorCode, errorText }) => errors.push({ errorCode, errorText });
  }
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const painting = setInterval(() => {
    pen.fillStyle = `hsl(${performance.now() % 360} 80% 50%)`;
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }, 40);
  for (const track of canvas.captureStream(25).getTracks()) caller.addTrack(track);
  await caller.setLocalDescription();
  await callee.setRemoteDescription(caller.localDescription);
  await callee.setLocalDescription();
  await caller.setRemoteDescription(callee.localDescription);
  try {
    const end = Date.now() + kPatience;
    while (Date.now() < end) {
      const report = [...(await callee.getStats()).values()];
      const video = report.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
      if (video?.framesDecoded > 5) {
        const pair = report.find(({ type, state, nominated }) =>
          type === "candidate-pair" && state === "succeeded" && nominated);
        const local = report.find(({ id }) => id === pair?.localCandidateId);
        // A pair that is checked again at this moment has not "succeeded".
        const way = `${local?.candidateType}/${local?.relayProtocol}`;
        if (local) return { decoded: true, way, errors };
      }
      if (errors.some(({ errorCode }) => errorCode === 401)) return { decoded: false, errors };
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { decoded: false, errors };
  } finally {
    clearInterval(painting);
    caller.close();
    callee.close();
  }
}

function start(ip) {
  return Turnpike.start({
    "--listening-ip": ip,
    "--user": `${kUser.username}:${kUser.credential}`,
  });
}

// A certificate wants a name, and localhost is one for both families: the server listens on one.
function iceServer(server, ip, transport) {
  if (transport === "tls") return { urls: `turns:localhost:${server.tlsPort}`, ...kUser };
  const host = ip.includes(":") ? `[${ip}]` : ip;
  return { urls: `turn:${host}:${server.port}?transport=${transport}`, ...kUser };
}

async function call(server, newPage, turn) {
  const page = await newPage();
  await page.goto(server.plainUrl);
  const result = await page.evaluate(callThrough, turn);
  await page.close();
  return result;
}

function testPaths(name, newPageOf) {
  for (const [family, ip] of Object.entries(kFamilies)) {
    test(`${name} relays video over UDP, TCP and TLS on ${family}`, async (shared) => {
      const server = await start(ip);
      shared.cleanUp(() => server.stop());
      const newPage = await newPageOf(shared);
      for (const transport of kTransports) {
        const result = await call(server, newPage, iceServer(server, ip, transport));
        assert.ok(result.decoded, `${transport}: ${JSON.stringify(result)}`);
        assert.equal(result.way, `relay/${transport}`);
      }
    });
  }

  test(`${name} tells of a wrong password by icecandidateerror 401`, async (shared) => {
    const server = await start(kFamilies.IPv4);
    shared.cleanUp(() => server.stop());
    const newPage = await newPageOf(shared);
    const turn = iceServer(server, kFamilies.IPv4, "udp");
    const result = await call(server, newPage, { ...turn, credential: "wrong" });
    assert.equal(result.decoded, false);
    assert.ok(result.errors.some(({ errorCode }) => errorCode === 401), JSON.stringify(result));
  });
}

testPaths("Chromium", ({ browser }) => () => browser.newPage());

if (existsSync(Firefox.executable)) {
  testPaths("Firefox", async ({ openFirefox, cleanUp }) => {
    const firefox = await openFirefox();
    return () => firefox.newPage({ cleanUp });
  });
} else {
  skipped("Firefox relays video", `${Firefox.executable} is not there`);
}
