// Two ways through a relay: a loop inside this page (both ends relayed), and the server's echo,
// which tells what the server saw. No DOM but a canvas for the test picture.

import { join } from "/client/v1.js";

import { after } from "./waiting.js";

const kConnectPatience = 15_000;
const kPings = 40;
const kPingEvery = 50;
const kBulkTime = 2_000;
const kChunk = 16 * 1024;
const kBufferLimit = 1024 * 1024;
const kEchoPatience = 25_000;
const kEchoReports = 4;

// A moving picture and a tone: no camera is needed, so this also works on plain HTTP.
export function testStream() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
  const paint = canvas.getContext("2d");
  let turn = 0;
  const draw = () => {
    turn += 1;
    paint.fillStyle = `hsl(${turn % 360} 60% 40%)`;
    paint.fillRect(0, 0, 320, 180);
    paint.fillStyle = "#ffffff";
    paint.fillRect((turn * 4) % 320, 60, 40, 60);
  };
  draw();
  const timer = setInterval(draw, 1000 / 20);
  const stream = canvas.captureStream(20);
  const context = window.AudioContext ? new AudioContext() : null;
  if (context) {
    const out = context.createMediaStreamDestination();
    const tone = new OscillatorNode(context, { frequency: 440 });
    tone.connect(new GainNode(context, { gain: 0.05 })).connect(out);
    tone.start();
    stream.addTrack(out.stream.getAudioTracks()[0]);
  }
  const close = () => {
    clearInterval(timer);
    context?.close();
    for (const track of stream.getTracks()) track.stop();
  };
  return { stream, close };
}

// {roundTripMs, jitterMs, loss, throughput (bit/s), video: {frames, loss, jitterMs}, relayProtocol}
export async function loopback(iceServers, media, onStep) {
  const configuration = { iceServers, iceTransportPolicy: "relay" };
  const [near, far] = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
  try {
    return await measure(near, far, media, onStep);
  } finally {
    near.close();
    far.close();
  }
}

async function measure(near, far, media, onStep) {
  const cross = (from, to) => from.addEventListener("icecandidate", ({ candidate }) =>
    candidate && to.addIceCandidate(candidate).catch(() => {}));
  cross(near, far);
  cross(far, near);
  const pings = near.createDataChannel("pings", { ordered: false, maxRetransmits: 0 });
  const bulk = near.createDataChannel("bulk");
  let received = 0;
  far.addEventListener("datachannel", ({ channel }) => {
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      if (channel.label === "pings") channel.send(data);
      else received += data.byteLength;
    });
  });
  for (const track of media.stream.getTracks()) near.addTrack(track, media.stream);
  const open = Promise.all([pings, bulk].map(opened));
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
  await Promise.race([open, after(kConnectPatience).then(() => {
    throw new Error("no connection");
  })]);
  onStep("pings");
  const trips = await ping(pings);
  const video = await videoFacts(far);
  onStep("bulk");
  const throughput = await flood(bulk, () => received);
  return { ...trips, throughput, video, relayProtocol: await relayProtocol(near) };
}

const opened = (channel) => new Promise((done) => channel.addEventListener("open", done));

async function ping(channel) {
  const trips = [];
  channel.addEventListener("message", ({ data }) => trips.push(performance.now() - Number(data)));
  for (let number = 0; number < kPings; number += 1) {
    channel.send(String(performance.now()));
    await after(kPingEvery);
  }
  await after(500);
  const sorted = [...trips].sort((one, other) => one - other);
  const steps = trips.slice(1).map((trip, index) => Math.abs(trip - trips[index]));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
  return {
    roundTripMs: sorted.length ? round(sorted[sorted.length >> 1]) : null,
    jitterMs: round(mean(steps)),
    loss: 1 - trips.length / kPings,
  };
}

async function flood(channel, received) {
  const chunk = new Uint8Array(kChunk);
  channel.bufferedAmountLowThreshold = kBufferLimit / 2;
  const began = performance.now();
  const before = received();
  while (performance.now() - began < kBulkTime) {
    while (channel.bufferedAmount < kBufferLimit) channel.send(chunk);
    await after(5);
  }
  return Math.round(((received() - before) * 8 * 1000) / (performance.now() - began));
}

async function videoFacts(connection) {
  for (const entry of (await connection.getStats()).values()) {
    if (entry.type !== "inbound-rtp" || entry.kind !== "video") continue;
    const lost = Math.max(0, entry.packetsLost ?? 0);
    const all = (entry.packetsReceived ?? 0) + lost;
    return {
      frames: entry.framesDecoded ?? 0,
      loss: all > 0 ? lost / all : 0,
      jitterMs: round((entry.jitter ?? 0) * 1000),
    };
  }
  return null;
}

async function relayProtocol(connection) {
  const report = await connection.getStats();
  for (const entry of report.values()) {
    if (entry.type === "candidate-pair" && (entry.nominated || entry.selected)) {
      return report.get(entry.localCandidateId)?.relayProtocol ?? null;
    }
  }
  return null;
}

const round = (milliseconds) => Math.round(milliseconds * 10) / 10;

// The statistics that the echo tells after some seconds (docs/signaling.md), or {error}.
export async function echo(iceServers, media, { invitation, policy }) {
  const abort = new AbortController();
  const patience = setTimeout(() => abort.abort(), kEchoPatience);
  const enter = (proof) => join("echo", {
    iceServers, selectServers: () => iceServers, stream: media.stream, signal: abort.signal,
    rtc: { iceTransportPolicy: policy }, ...proof,
  });
  let room = null;
  try {
    room = await enter({}).catch((error) => {
      if (error.code === "bad-token" && invitation) return enter({ invitation });
      throw error;
    });
    if (room.peers.size === 0) return { error: "no-echo" };
    return await reports(room, abort.signal);
  } catch (error) {
    return { error: error.code ?? error.name };
  } finally {
    clearTimeout(patience);
    room?.leave();
  }
}

function reports(room, signal) {
  return new Promise((done, failed) => {
    let count = 0;
    const late = () => failed(new DOMException("no answer", "TimeoutError"));
    if (signal.aborted) late();
    signal.addEventListener("abort", late);
    room.on("message", ({ data }) => {
      if (data?.error) return done({ error: data.error.code });
      if (data?.statistics?.state === "connected") count += 1;
      if (count >= kEchoReports) done(data.statistics);
    });
  });
}
