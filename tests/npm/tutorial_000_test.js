// Tutorial 000 with npm's `ws`: raw WebSockets on "/", what one says the others hear.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import WebSocket from "ws";

import {
  Inbox, candidate, conversation, description, kForeignText, together, withPatience,
} from "./conversation.js";
import { isReference, startServer } from "./server.js";

const server = await startServer();

async function join(cleanUp, path = "/", name = path) {
  const socket = new WebSocket(server.socketUrl + path);
  cleanUp(() => socket.terminate());
  const peer = { socket, inbox: new Inbox(name), say: (text) => socket.send(text) };
  socket.on("message", (data, isBinary) => {
    peer.inbox.put(isBinary ? { binary: data } : data.toString());
  });
  const opened = new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  peer.closed = new Promise((resolve) => socket.once("close", resolve));
  await withPatience(`a WebSocket on ${path}`, opened);
  return peer;
}

const joinAll = (cleanUp, count, path) =>
  together(count, (index) => join(cleanUp, path, `peer ${index} of ${path}`));

const say = (event, data) => JSON.stringify({ event, data });

// Everyone speaks in turn and is heard by each of the others: so nothing else was on the way.
async function roundOfMarkers(peers) {
  for (const [index, peer] of peers.entries()) {
    const marker = say("_marker", index);
    peer.say(marker);
    for (const other of peers) if (other !== peer) await other.inbox.expect(marker);
  }
}

for (const count of [2, 3, 8]) {
  conversation(`000: ${count} peers hear each other and never themselves`, async ({ cleanUp }) => {
    const peers = await joinAll(cleanUp, count, `/?room=count-${count}`);
    await roundOfMarkers(peers);
    for (const { inbox } of peers) assert.equal(inbox.size, 0);
  });
}

conversation("000: the tutorial's call on the bare address", async ({ cleanUp }) => {
  const [ann, ben] = await joinAll(cleanUp, 2, "/");
  const offer = say("_offer", { sdp: description("offer", "ann") });
  const answer = say("_answer", { sdp: description("answer", "ben") });
  const candidates = (from) => [1, 2, 3, 4].map(
    (mark) => say("_ice_candidate", { candidate: candidate(from + mark) }));
  ann.say(offer);
  candidates(10).forEach(ann.say);
  await ben.inbox.expect(offer, ...candidates(10));
  ben.say(answer);
  candidates(20).forEach(ben.say);
  await ann.inbox.expect(answer, ...candidates(20));
  await roundOfMarkers([ann, ben]);
});

conversation("000: text passes byte for byte, as text", async ({ cleanUp }) => {
  const [ann, ben] = await joinAll(cleanUp, 2, "/?room=bytes");
  const texts = [
    '{"event":"_offer","data":{"sdp":{"type":"offer","sdp":"v=0\\r\\n"}}}',
    ' {\t"data" : null ,\n"event":"_answer" , "event":"_answer"\r\n} ',
    '{"event":"_ice_candidate","data":{"n":[1.0,1e0,-0,0.10,12345678901234567890],"u":"\\u0041\\/"}}',
    say("_offer", { text: kForeignText }),
    `{"event":"_offer","data":"${"é".repeat(20_000)}"}`,
  ];
  for (const text of texts) ann.say(text);
  await ben.inbox.expect(...texts);
  await roundOfMarkers([ann, ben]);
});

conversation("000: rooms do not hear each other, nor the bare address", async ({ cleanUp }) => {
  const red = await joinAll(cleanUp, 2, "/?room=red");
  const blue = await joinAll(cleanUp, 2, "/?room=blue");
  const bare = await joinAll(cleanUp, 2, "/");
  red[0].say(say("_offer", "for red"));
  await red[1].inbox.expect(say("_offer", "for red"));
  bare[0].say(say("_offer", "for all without a room"));
  await bare[1].inbox.expect(say("_offer", "for all without a room"));
  for (const peers of [blue, red, bare]) await roundOfMarkers(peers);
});

conversation("000: who comes hears nothing of before, who goes is not announced",
  async ({ cleanUp }) => {
    const [ann, ben] = await joinAll(cleanUp, 2, "/?room=late");
    ann.say(say("_offer", 1));
    await ben.inbox.expect(say("_offer", 1));
    const cai = await join(cleanUp, "/?room=late");
    await roundOfMarkers([ann, ben, cai]);
    ben.socket.close();
    await withPatience("the end of ben's socket", ben.closed);
    await roundOfMarkers([ann, cai]);
  });

conversation("000: what is not JSON passes as it is, too, and text is always text",
  async ({ cleanUp }) => {
    const [ann, ben] = await joinAll(cleanUp, 2, "/?room=words");
    for (const text of ["hello", '{"event":', "{'event':1}", kForeignText]) {
      ann.say(text);
      await ben.inbox.expect(text);
    }
    await roundOfMarkers([ann, ben]);
  }, { skip: isReference && "JSON only there" });

// Where a page does JSON.parse(event.data), a Blob would throw.
conversation("000: a binary message ends who sends it, and nobody hears it", async ({ cleanUp }) => {
  const [ann, ben, cai] = await joinAll(cleanUp, 3, "/?room=binary");
  ann.socket.send(Buffer.from([0, 1, 127, 128, 255]));
  await withPatience("the end of ann's socket", ann.closed);
  await roundOfMarkers([ben, cai]);
}, { skip: isReference && "not judged there" });

conversation("000: two hundred messages at once arrive in order", async ({ cleanUp }) => {
  const [ann, ben] = await joinAll(cleanUp, 2, "/?room=burst");
  const texts = Array.from({ length: 200 }, (_, mark) => say("_ice_candidate", candidate(mark)));
  texts.forEach(ann.say);
  await ben.inbox.expect(...texts);
});
