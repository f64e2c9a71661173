// y-webrtc's signaling with `ws`: topics, and everybody hears what is published, its author too.

import assert from "node:assert/strict";
import WebSocket from "ws";

import { Inbox, conversation, kForeignText, together, withPatience } from "./conversation.js";
import { isReference, startServer } from "./server.js";

const server = await startServer();

async function open(cleanUp, index) {
  const socket = new WebSocket(`${server.socketUrl}/y-webrtc`);
  cleanUp(() => socket.terminate());
  socket.on("error", () => {});
  const peer = { socket, inbox: new Inbox(`peer ${index}`) };
  socket.on("message", (data, isBinary) =>
    peer.inbox.put(isBinary ? { binary: data } : JSON.parse(data)));
  peer.say = (message) => socket.send(JSON.stringify(message));
  peer.publish = (topic, data) => peer.say({ type: "publish", topic, data });
  peer.closed = new Promise((resolve) => socket.once("close", resolve));
  await withPatience("a WebSocket", new Promise((resolve) => socket.once("open", resolve)));
  return peer;
}

// A ping is answered after all that was on the way.
async function heardNothing(...peers) {
  for (const peer of peers) {
    peer.say({ type: "ping" });
    await peer.inbox.expect({ type: "pong" });
  }
}

async function subscribed(cleanUp, count, ...topics) {
  const peers = await together(count, (index) => open(cleanUp, index));
  for (const peer of peers) peer.say({ type: "subscribe", topics });
  await heardNothing(...peers);
  return peers;
}

for (const count of [1, 2, 3, 8]) {
  conversation(`y-webrtc: ${count} subscribers hear what each publishes`, async ({ cleanUp }) => {
    const topic = `room ${count}`;
    const peers = await subscribed(cleanUp, count, topic);
    for (const [from, peer] of peers.entries()) {
      const data = { type: "announce", from, text: kForeignText };
      peer.publish(topic, data);
      for (const { inbox } of peers) {
        await inbox.expect({ type: "publish", topic, data, clients: count });
      }
    }
    await heardNothing(...peers);
  });
}

conversation("y-webrtc: encrypted text and further keys pass as they are", async ({ cleanUp }) => {
  const [ann, ben] = await subscribed(cleanUp, 2, "secret");
  ann.publish("secret", "AGFlc2djbQx2YWx1ZQ==");
  const message = { type: "publish", topic: "secret", more: [1.5, { a: null }], data: {} };
  ann.say(message);
  await ben.inbox.expect(
    { type: "publish", topic: "secret", data: "AGFlc2djbQx2YWx1ZQ==", clients: 2 },
    { ...message, clients: 2 });
});

conversation("y-webrtc: topics do not hear each other, and one can leave them",
  async ({ cleanUp }) => {
    const [ann, ben] = await subscribed(cleanUp, 2, "red", "blue");
    const [cai] = await subscribed(cleanUp, 1, "green");
    ann.say({ type: "unsubscribe", topics: ["blue"] });
    await heardNothing(ann);
    ben.publish("blue", 1);
    await ben.inbox.expect({ type: "publish", topic: "blue", data: 1, clients: 1 });
    ben.publish("red", 2);
    for (const { inbox } of [ann, ben]) {
      await inbox.expect({ type: "publish", topic: "red", data: 2, clients: 2 });
    }
    await heardNothing(ann, ben, cai);
  });

conversation("y-webrtc: who goes is not counted any more", async ({ cleanUp }) => {
  const [ann, ben] = await subscribed(cleanUp, 2, "gone");
  ben.socket.close();
  await withPatience("the end", ben.closed);
  ann.publish("gone", 1);
  await ann.inbox.expect({ type: "publish", topic: "gone", data: 1, clients: 1 });
});

conversation("y-webrtc: nonsense ends that connection at most", async ({ cleanUp }) => {
  const [ann, ben] = await subscribed(cleanUp, 2, "sense");
  for (const text of ["", "[]", "{", "5", '{"type":"subscribe"}', '{"type":"subscribe","topics":5}',
    '{"type":"publish"}', '{"type":"publish","topic":{}}', '{"type":"unsubscribe","topics":[7]}']) {
    const bad = await open(cleanUp, "bad");
    bad.socket.send(text);
    bad.socket.ping();
    await withPatience(`the server's view of ${text}`,
      Promise.race([bad.closed, new Promise((resolve) => bad.socket.once("pong", resolve))]));
    assert.equal(bad.inbox.size, 0);
  }
  await heardNothing(ann, ben);
}, { skip: isReference && "it ends there" });
