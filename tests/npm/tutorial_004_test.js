// Tutorial 004 with npm's scaledrone-node, which its authors publish for Node.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import WebSocket from "ws";

import {
  Inbox, candidate, conversation, description, kForeignText, together, withPatience,
} from "./conversation.js";
import { isReference, startServer, Turnpike } from "./server.js";

const require = createRequire(import.meta.url);
const ScaleDrone = require("scaledrone-node");

const server = await startServer();
const kPath = "/v3/websocket";

async function open(cleanUp, { channel = "87fYv4ncOoa0Cjne", data = null, at = server } = {}) {
  const drone = new ScaleDrone(channel,
    { url: at.socketUrl + kPath, data, autoReconnect: at !== server });
  const heard = new Inbox("a drone");
  drone.on("error", (error) => heard.put(["error", error.message ?? String(error)]));
  drone.on("reconnect", () => heard.put(["reconnect"]));
  drone.on("disconnect", () => heard.put(["disconnect"]));
  drone.on("close", (event) => heard.put(["close", event?.code]));
  cleanUp(() => {
    drone.autoReconnect = false;
    drone.close();
  });
  const opened = new Promise((resolve, reject) =>
    drone.on("open", (error) => (error ? reject(error) : resolve())));
  await withPatience("open", opened);
  assert.match(drone.clientId, /^\S{8,64}$/);
  return { drone, heard, id: drone.clientId };
}

// What tutorials see of a room: each event with the ids of the members it is about.
function enter(peer, name, options) {
  const room = peer.drone.subscribe(name, options);
  const inbox = new Inbox(`${peer.id} in ${name}`);
  room.on("all", (event, first, second) => {
    if (event === "members") inbox.put([event, first.map(({ id }) => id)]);
    else if (event.startsWith("member_")) inbox.put([event, first.id]);
    else if (event === "data") inbox.put([event, first, second?.id]);
    else if (event === "history_message") inbox.put([event, first.data, first.clientId]);
    else if (event === "open") inbox.put([event, first?.message]);
  });
  room.on("open", () => {}); // otherwise it is not even told to `all`
  peer.say = (message) => peer.drone.publish({ room: name, message });
  return Object.assign(inbox, { room });
}

// Peers one after the other, as in the tutorial; each knows all before it.
async function gather(cleanUp, name, count, options) {
  const peers = [];
  for (let index = 0; index < count; index += 1) {
    const peer = await open(cleanUp, options);
    peer.inbox = enter(peer, name);
    const ids = [...peers.map(({ id }) => id), peer.id];
    await peer.inbox.expect(["open", undefined]);
    const [event, members] = await peer.inbox.next("members");
    assert.equal(event, "members");
    assert.deepEqual([...members].sort(), [...ids].sort());
    for (const other of peers) await other.inbox.expect(["member_join", peer.id]);
    peers.push(peer);
  }
  return peers;
}

async function roundOfMarkers(peers) {
  for (const [index, peer] of peers.entries()) {
    peer.say({ marker: index });
    for (const hearer of peers) await hearer.inbox.expect(["data", { marker: index }, peer.id]);
  }
}

for (const count of [2, 3, 8]) {
  conversation(`004: ${count} members are announced, and all hear all, themselves too`,
    async ({ cleanUp }) => {
      const peers = await gather(cleanUp, `observable-${count}`, count);
      await roundOfMarkers(peers);
      await roundOfMarkers(peers);
    });
}

conversation("004: the tutorial's call", async ({ cleanUp }) => {
  const [ann, ben] = await gather(cleanUp, "observable-1a2b3c", 2);
  const turn = async (from, message) => {
    from.say(message);
    for (const { inbox } of [ann, ben]) await inbox.expect(["data", message, from.id]);
  };
  await turn(ben, { sdp: { ...description("offer", "ben"), text: kForeignText } });
  for (const mark of [1, 2, 3]) await turn(ben, { candidate: candidate(mark) });
  await turn(ann, { sdp: { ...description("answer", "ann"), text: kForeignText } });
  await turn(ann, { candidate: candidate(4) });
});

conversation("004: a member that goes is announced to those who stay", async ({ cleanUp }) => {
  const [ann, ben, cai] = await gather(cleanUp, "observable-leave", 3);
  ben.drone.close();
  for (const { inbox } of [ann, cai]) await inbox.expect(["member_leave", ben.id]);
  cai.inbox.room.unsubscribe();
  await ann.inbox.expect(["member_leave", cai.id]);
  cai.say("from outside");
  ann.say("alone");
  let heard = await ann.inbox.next();
  if (heard[1] === "from outside") heard = await ann.inbox.next();
  assert.deepEqual(heard, ["data", "alone", ann.id]);
});

conversation("004: channels do not hear each other", async ({ cleanUp }) => {
  const red = await gather(cleanUp, "observable-same", 2, { channel: "red" });
  const blue = await gather(cleanUp, "observable-same", 2, { channel: "blue" });
  await roundOfMarkers(red);
  await roundOfMarkers(blue);
  await roundOfMarkers(red);
});

conversation("004: a room that is not observable announces nobody", async ({ cleanUp }) => {
  const [ann, ben] = await together(2, () => open(cleanUp));
  for (const peer of [ann, ben]) {
    peer.inbox = enter(peer, "quiet");
    await peer.inbox.expect(["open", undefined]);
  }
  ann.say({ text: kForeignText });
  for (const { inbox } of [ann, ben]) await inbox.expect(["data", { text: kForeignText }, undefined]);
  ben.drone.close();
  ann.say("alone");
  await ann.inbox.expect(["data", "alone", undefined]);
});

conversation("004: messages carry an id, the time in seconds and their author",
  async ({ cleanUp }) => {
    const [ann, ben] = await gather(cleanUp, "observable-message", 2);
    const seen = new Promise((resolve) => ann.inbox.room.on("message", resolve));
    ben.say(["hello"]);
    const message = await withPatience("a message", seen);
    assert.deepEqual(message.data, ["hello"]);
    assert.equal(message.clientId, ben.id);
    assert.equal(message.member.id, ben.id);
    assert.ok(Math.abs(message.timestamp - Date.now() / 1000) < 60, String(message.timestamp));
    assert.ok(message.id);
  });

conversation("004: client data is shown to the others", async ({ cleanUp }) => {
  const ann = await open(cleanUp, { data: { name: kForeignText, color: [1] } });
  enter(ann, "observable-data");
  const ben = await open(cleanUp);
  const room = ben.drone.subscribe("observable-data");
  const members = await withPatience("members",
    new Promise((resolve) => room.on("members", resolve)));
  const byId = Object.fromEntries(members.map((member) => [member.id, member]));
  assert.deepEqual(byId[ann.id].clientData, { name: kForeignText, color: [1] });
  assert.ok(!("clientData" in byId[ben.id]));
  assert.ok(!("authData" in byId[ben.id]));
}, { skip: isReference && "no client data there" });

conversation("004: who comes later gets the history that he asks for", async ({ cleanUp }) => {
  const [ann] = await gather(cleanUp, "observable-history", 1);
  for (let index = 0; index < 7; index += 1) {
    ann.say({ index });
    await ann.inbox.expect(["data", { index }, ann.id]);
  }
  const late = await open(cleanUp);
  late.inbox = enter(late, "observable-history", { historyCount: 5 });
  await late.inbox.expect(["open", undefined]);
  assert.equal((await late.inbox.next())[0], "members");
  for (const index of [6, 5, 4, 3, 2]) {
    await late.inbox.expect(["history_message", { index }, ann.id]);
  }
  await ann.inbox.expect(["member_join", late.id]);
  await roundOfMarkers([ann, late]);
});

conversation("004: senseless requests end that connection at most", async ({ cleanUp }) => {
  const [ann, ben] = await gather(cleanUp, "observable-sense", 2);
  for (const text of ["", "[]", "5", "{", '{"type":5}', '{"type":"subscribe"}',
    '{"type":"subscribe","room":7}', '{"type":"handshake"}', '{"type":"nonsense","callback":3}']) {
    const bad = new WebSocket(server.socketUrl + kPath);
    cleanUp(() => bad.terminate());
    bad.on("error", () => {});
    await withPatience("a WebSocket", new Promise((resolve) => bad.once("open", resolve)));
    bad.send(text);
    bad.ping();
    const gone = new Promise((resolve) => bad.once("close", resolve));
    await withPatience(`the server's view of ${text}`,
      Promise.race([gone, new Promise((resolve) => bad.once("pong", resolve))]));
  }
  await roundOfMarkers([ann, ben]);
}, { skip: isReference && "it ends there" });

conversation("004: a server that stops leaves without a close frame, so that clients come back",
  async ({ cleanUp }) => {
    const mortal = await Turnpike.start();
    cleanUp(() => mortal.stop());
    const sockets = await together(2, async () => {
      const socket = new WebSocket(mortal.socketUrl + kPath);
      cleanUp(() => socket.terminate());
      socket.on("error", () => {});
      await withPatience("a WebSocket", new Promise((resolve) => socket.once("open", resolve)));
      socket.send('{"type":"handshake","channel":"c","version":2,"client_data":null,"callback":0}');
      await withPatience("an answer", new Promise((resolve) => socket.once("message", resolve)));
      return socket;
    });
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    await mortal.stop();
    for (const code of await withPatience("the end", Promise.all(closed))) {
      assert.equal(code, 1006);
    }
  }, { skip: isReference && "of the binary" });
