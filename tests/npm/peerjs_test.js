// PeerJS: its wire with `ws`, and npm's `peerjs` as far as it goes without WebRTC.

import assert from "node:assert/strict";
import WebSocket from "ws";

import {
  Inbox, candidate, conversation, description, kForeignText, withPatience,
} from "./conversation.js";
import { Peer } from "./peer.js";
import { isReference, startServer } from "./server.js";

const server = await startServer();

async function open(cleanUp, id, { token = `token of ${id}` } = {}) {
  const query = new URLSearchParams({ key: "peerjs", id, token, version: "1.5.5" });
  const socket = new WebSocket(`${server.socketUrl}/peerjs?${query}`);
  cleanUp(() => socket.terminate());
  socket.on("error", () => {});
  const peer = { id, socket, inbox: new Inbox(id) };
  peer.closed = new Promise((resolve) => socket.once("close", resolve));
  peer.say = (message) => socket.send(JSON.stringify(message));
  socket.on("message", (text) => peer.inbox.put(JSON.parse(text)));
  return peer;
}

async function opened(cleanUp, ...ids) {
  const peers = [];
  for (const id of ids) {
    const peer = await open(cleanUp, id);
    await peer.inbox.expect({ type: "OPEN" });
    peers.push(peer);
  }
  return peers;
}

// Whatever is sent to oneself comes back after all that was on the way.
async function heardNothing(...peers) {
  for (const [index, peer] of peers.entries()) {
    const other = peers[(index + 1) % peers.length];
    peer.say({ type: "CANDIDATE", dst: other.id, payload: `marker ${index}` });
    await other.inbox.expect(
      { type: "CANDIDATE", src: peer.id, dst: other.id, payload: `marker ${index}` });
  }
}

conversation("PeerJS: a new id for whoever asks", async () => {
  const ids = new Set();
  for (let count = 0; count < 5; count += 1) {
    const answer = await fetch(`${server.url}/peerjs/id?ts=${count}&version=1.5.5`,
      { headers: { Origin: "http://elsewhere.example" } });
    assert.equal(answer.status, 200);
    assert.ok(answer.headers.get("access-control-allow-origin"), "pages of other sites ask, too");
    const id = await answer.text();
    assert.match(id, /^[A-Za-z0-9]+(?:[ _-][A-Za-z0-9]+)*$/, "what the client takes for an id");
    ids.add(id);
  }
  assert.equal(ids.size, 5);
});

conversation("PeerJS: messages go to whom they name, with their author's true name",
  async ({ cleanUp }) => {
    const [ann, ben, cai] = await opened(cleanUp, "ann", "ben", "cai");
    const payload = { sdp: description("offer", "ann"), label: kForeignText };
    ann.say({ type: "OFFER", dst: "ben", payload });
    await ben.inbox.expect({ type: "OFFER", src: "ann", dst: "ben", payload });
    ben.say({ type: "ANSWER", src: "cai", dst: "ann", payload: { sdp: "x" } });
    await ann.inbox.expect({ type: "ANSWER", src: "ben", dst: "ann", payload: { sdp: "x" } });
    for (const mark of [1, 2, 3]) {
      ann.say({ type: "CANDIDATE", dst: "ben", payload: candidate(mark) });
    }
    for (const mark of [1, 2, 3]) {
      await ben.inbox.expect(
        { type: "CANDIDATE", src: "ann", dst: "ben", payload: candidate(mark) });
    }
    await heardNothing(ann, ben, cai);
  });

conversation("PeerJS: eight peers, each hears what is for him", async ({ cleanUp }) => {
  const peers = await opened(cleanUp, ...Array.from({ length: 8 }, (_, index) => `many-${index}`));
  for (const from of peers) {
    for (const to of peers) {
      if (from === to) continue;
      from.say({ type: "OFFER", dst: to.id, payload: from.id });
      await to.inbox.expect({ type: "OFFER", src: from.id, dst: to.id, payload: from.id });
    }
  }
  await heardNothing(...peers);
});

conversation("PeerJS: an id is one's own while one is there", async ({ cleanUp }) => {
  const [ann] = await opened(cleanUp, "single");
  const thief = await open(cleanUp, "single", { token: "another" });
  const heard = await thief.inbox.next("ID-TAKEN");
  assert.equal(heard.type, "ID-TAKEN");
  await withPatience("the thief's end", thief.closed);
  const [ben] = await opened(cleanUp, "single-friend");
  await heardNothing(ann, ben);
  ann.socket.close();
  await withPatience("the end", ann.closed);
  await opened(cleanUp, "single");
});

conversation("PeerJS: what is for somebody who comes in time is kept for him",
  async ({ cleanUp }) => {
    const [ann] = await opened(cleanUp, "early");
    ann.say({ type: "OFFER", dst: "late", payload: { sdp: 1 } });
    ann.say({ type: "CANDIDATE", dst: "late", payload: candidate(1) });
    const [late] = await opened(cleanUp, "late");
    await late.inbox.expect({ type: "OFFER", src: "early", dst: "late", payload: { sdp: 1 } },
      { type: "CANDIDATE", src: "early", dst: "late", payload: candidate(1) });
    await heardNothing(ann, late);
  });

conversation("PeerJS: what is for nobody expires", async ({ cleanUp }) => {
  const [ann] = await opened(cleanUp, "lonely");
  ann.say({ type: "OFFER", dst: "nobody", payload: {} });
  const heard = await withPatience("EXPIRE", ann.inbox.next("EXPIRE"), 7_900);
  assert.deepEqual([heard.type, heard.src, heard.dst], ["EXPIRE", "nobody", "lonely"]);
});

conversation("PeerJS: heartbeats and nonsense are not passed on", async ({ cleanUp }) => {
  const [ann, ben] = await opened(cleanUp, "heart", "beat");
  ann.say({ type: "HEARTBEAT" });
  ann.say({ type: "HEARTBEAT", dst: "beat" });
  await heardNothing(ann, ben);
  for (const text of ["", "[]", "{", '{"type":5,"dst":"beat"}', '{"type":"OFFER","dst":7}']) {
    const bad = await open(cleanUp, `bad-${Math.random()}`);
    await bad.inbox.expect({ type: "OPEN" });
    bad.socket.send(text);
    bad.socket.ping();
    await withPatience(`the server's view of ${text}`,
      Promise.race([bad.closed, new Promise((resolve) => bad.socket.once("pong", resolve))]));
  }
  await heardNothing(ann, ben);
}, { skip: isReference && "it ends there" });

function client(cleanUp, ...id) {
  const peer = new Peer(...id, { host: "127.0.0.1", port: server.port, path: "/" });
  cleanUp(() => peer.destroy());
  return new Promise((resolve, reject) => {
    peer.once("open", (own) => resolve({ peer, own }));
    peer.once("error", reject);
  });
}

conversation("PeerJS: npm's client opens with an id of the server's and with its own",
  async ({ cleanUp }) => {
    const first = await withPatience("open", client(cleanUp));
    assert.ok(first.own.length >= 4);
    const second = await withPatience("open", client(cleanUp, "my-own-id"));
    assert.equal(second.own, "my-own-id");
    await assert.rejects(withPatience("an error", client(cleanUp, "my-own-id")),
      ({ type }) => type === "unavailable-id");
  });

conversation("PeerJS: npm's client learns that a peer is not there", async ({ cleanUp }) => {
  const { peer } = await withPatience("open", client(cleanUp, "seeker"));
  const error = new Promise((resolve) => peer.once("error", resolve));
  peer.socket.send({ type: "OFFER", dst: "absent", payload: { connectionId: "dc_1" } });
  assert.equal((await withPatience("an error", error)).type, "peer-unavailable");
});
