// Two hundred messages at once: what a page with many candidates says in one breath must pass, in
// order, in every protocol and with every client.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import WebSocket from "ws";

import { candidate, conversation, Inbox, withPatience } from "./conversation.js";
import { startServer } from "./server.js";
import { join, kWays, nameOf } from "./socketio.js";

const ScaleDrone = createRequire(import.meta.url)("scaledrone-node");
const server = await startServer();
const kBurst = 199; // beside the message that enters the room
const marks = Array.from({ length: kBurst }, (_, mark) => mark);

for (const way of kWays) {
  conversation(`bursts: ${nameOf(way)} in a room of many`, async ({ cleanUp }) => {
    const [ann, ben] = await join(cleanUp, server, [way, way]);
    const room = `burst of ${nameOf(way)}`;
    ben.emit("joinRoom", room);
    ben.emit("leave", "a marker");
    await ben.expect(["leaved", "a marker", ben.id]);
    ann.emit("joinRoom", room);
    for (const mark of marks) ann.emit("sendCandidate", { candidate: candidate(mark), room });
    for (const mark of marks) await ben.expect(["receiveCandidate", { candidate: candidate(mark) }]);
  });

  conversation(`bursts: ${nameOf(way)} in a room of two`, async ({ cleanUp }) => {
    const [ann, ben] = await join(cleanUp, server, [way, way]);
    const room = `burst of ${nameOf(way)}`;
    ben.emit("join", room);
    await ben.expect(["joined", room, ben.id]);
    ann.emit("join", room);
    for (const mark of marks) ann.emit("message", room, candidate(mark));
    await ben.expect(["otherjoin", room]);
    for (const mark of marks) await ben.expect(["message", room, candidate(mark)]);
  });
}

async function openSocket(cleanUp, path) {
  const socket = new WebSocket(server.socketUrl + path);
  cleanUp(() => socket.terminate());
  const inbox = new Inbox(path);
  socket.on("message", (data) => inbox.put(JSON.parse(data)));
  await withPatience(path, new Promise((resolve) => socket.once("open", resolve)));
  return { inbox, say: (message) => socket.send(JSON.stringify(message)) };
}

conversation("bursts: the raw relay", async ({ cleanUp }) => {
  const ann = await openSocket(cleanUp, "/?room=burst");
  const ben = await openSocket(cleanUp, "/?room=burst");
  for (const mark of marks) ann.say({ event: "_ice_candidate", data: candidate(mark) });
  for (const mark of marks) {
    await ben.inbox.expect({ event: "_ice_candidate", data: candidate(mark) });
  }
});

conversation("bursts: ScaleDrone, to its author too", async ({ cleanUp }) => {
  const drones = [];
  for (let count = 0; count < 2; count += 1) {
    const drone = new ScaleDrone("burst", { url: `${server.socketUrl}/v3/websocket` });
    cleanUp(() => {
      drone.autoReconnect = false;
      drone.close();
    });
    drone.on("error", () => {});
    await withPatience("open", new Promise((resolve) => drone.on("open", resolve)));
    const room = drone.subscribe("observable-burst");
    drone.inbox = new Inbox("a drone");
    room.on("data", (data) => drone.inbox.put(data));
    await withPatience("members", new Promise((resolve) => room.on("members", resolve)));
    drones.push(drone);
  }
  for (const mark of marks.slice(2)) {
    drones[0].publish({ room: "observable-burst", message: candidate(mark) });
  }
  for (const { inbox } of drones) {
    for (const mark of marks.slice(2)) await inbox.expect(candidate(mark));
  }
});

conversation("bursts: PeerJS", async ({ cleanUp }) => {
  const open = async (id) => {
    const peer = await openSocket(cleanUp, `/peerjs?key=peerjs&id=${id}&token=${id}&version=1.5.5`);
    await peer.inbox.expect({ type: "OPEN" });
    return peer;
  };
  const [ann, ben] = [await open("burst-a"), await open("burst-b")];
  for (const mark of marks) {
    ann.say({ type: "CANDIDATE", dst: "burst-b", payload: candidate(mark) });
  }
  for (const mark of marks) {
    await ben.inbox.expect(
      { type: "CANDIDATE", src: "burst-a", dst: "burst-b", payload: candidate(mark) });
  }
});

conversation("bursts: y-webrtc", async ({ cleanUp }) => {
  const peers = [await openSocket(cleanUp, "/y-webrtc"), await openSocket(cleanUp, "/y-webrtc")];
  for (const { say, inbox } of peers) {
    say({ type: "subscribe", topics: ["burst"] });
    say({ type: "ping" });
    await inbox.expect({ type: "pong" });
  }
  for (const mark of marks.slice(3)) peers[0].say({ type: "publish", topic: "burst", mark });
  for (const { inbox } of peers) {
    for (const mark of marks.slice(3)) {
      const { mark: heard } = await inbox.next(`message ${mark}`);
      assert.equal(heard, mark);
    }
  }
});
