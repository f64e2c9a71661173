// A server that stops lets each protocol's clients go in the way that makes them come back, and
// they are at work again when it is there again.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import WebSocket from "ws";

import { conversation, Inbox, withPatience } from "./conversation.js";
import { Peer } from "./peer.js";
import { isReference, Turnpike } from "./server.js";
import { join, kWays, nameOf } from "./socketio.js";

const ScaleDrone = createRequire(import.meta.url)("scaledrone-node");
const skip = isReference && "of the binary";
const kGoingAway = 1001; // RFC 6455 section 7.4.1
const kNoCloseFrame = 1006;

async function openSocket(cleanUp, server, path) {
  const socket = new WebSocket(server.socketUrl + path);
  cleanUp(() => socket.terminate());
  socket.on("error", () => {});
  await withPatience(path, new Promise((resolve) => socket.once("open", resolve)));
  return socket;
}

async function mortal(cleanUp) {
  const server = await Turnpike.start();
  cleanUp(() => server.stop());
  return server;
}

// How each protocol's WebSockets end. Browsers' SDKs come back only after an end without a frame.
const kEnds = {
  "/": kGoingAway,
  "/room?room=a": kGoingAway,
  "/socket.io/?EIO=4&transport=websocket": kNoCloseFrame,
  "/socket.io/?EIO=3&transport=websocket": kNoCloseFrame,
  "/v3/websocket": kNoCloseFrame,
  "/y-webrtc": kGoingAway,
  "/peerjs?key=peerjs&id=a&token=b&version=1.5.5": kGoingAway,
  "/ws": kGoingAway,
};

conversation("shutdown: each protocol's WebSockets end in its own way", async ({ cleanUp }) => {
  const server = await mortal(cleanUp);
  const closed = [];
  for (const path of Object.keys(kEnds)) {
    const socket = await openSocket(cleanUp, server, path);
    closed.push(new Promise((resolve) => socket.once("close", (code) => resolve([path, code]))));
  }
  await server.stop();
  const codes = await withPatience("the end", Promise.all(closed));
  assert.deepEqual(Object.fromEntries(codes), kEnds);
}, { skip });

conversation("shutdown: polls that are held are answered or cut, at once", async ({ cleanUp }) => {
  const server = await mortal(cleanUp);
  const held = [];
  for (const version of [3, 4]) {
    const address = `${server.url}/socket.io/?EIO=${version}&transport=polling`;
    const sid = /"sid":"([^"]+)"/.exec(await (await fetch(address)).text())[1];
    held.push(fetch(`${address}&sid=${sid}`).then((answer) => answer.text()).catch(() => "cut"));
  }
  // Answered after the polls have come in: each connection is read in its turn.
  await (await fetch(`${server.url}/config.json`)).text();
  const began = Date.now();
  await server.stop();
  await withPatience("the polls", Promise.all(held));
  assert.ok(Date.now() - began < 5000);
}, { skip });

// All of them at once: the time is their reconnecting.
conversation("shutdown: every Socket.IO client is back when the server is", async ({ cleanUp }) => {
  const server = await mortal(cleanUp);
  const options = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };
  const clients = await join(cleanUp, server, kWays, options);
  const back = clients.map((client, index) => new Promise((resolve) => {
    client.socket.once("disconnect", () => client.socket.once("connect", resolve));
  }).then(() => nameOf(kWays[index])));
  await server.restart();
  await withPatience("all of them", Promise.all(back));
  const [speaker, ...hearers] = clients;
  speaker.emit("offer", "after the restart");
  for (const hearer of hearers) await hearer.expect(["offer", "after the restart"]);
}, { skip });

conversation("shutdown: ScaleDrone's client is back in its room when the server is",
  async ({ cleanUp }) => {
    const server = await mortal(cleanUp);
    const drone = new ScaleDrone("channel", { url: `${server.socketUrl}/v3/websocket` });
    cleanUp(() => {
      drone.autoReconnect = false;
      drone.close();
    });
    drone.on("error", () => {});
    const heard = new Inbox("a drone");
    await withPatience("open", new Promise((resolve) => drone.on("open", resolve)));
    const room = drone.subscribe("observable-back");
    room.on("members", (members) => heard.put(["members", members.length]));
    room.on("data", (data) => heard.put(["data", data]));
    await heard.expect(["members", 1]);
    const back = new Promise((resolve) => drone.on("reconnect", resolve));
    await server.restart();
    await withPatience("reconnect", back);
    drone.publish({ room: "observable-back", message: "again" });
    await heard.expect(["members", 1], ["data", "again"]);
  }, { skip });

conversation("shutdown: PeerJS's client can reconnect under its id", async ({ cleanUp }) => {
  const server = await mortal(cleanUp);
  const peer = new Peer("ada", { host: "127.0.0.1", port: server.port, path: "/" });
  cleanUp(() => peer.destroy());
  peer.on("error", () => {});
  await withPatience("open", new Promise((resolve) => peer.once("open", resolve)));
  const lost = new Promise((resolve) => peer.once("disconnected", resolve));
  await server.restart();
  await withPatience("disconnected", lost);
  const back = new Promise((resolve) => peer.once("open", resolve));
  peer.reconnect();
  assert.equal(await withPatience("open", back), "ada");
}, { skip });
