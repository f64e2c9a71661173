// Tutorial 001: joinRoom, sendOffer, sendAnswer, sendCandidate.

import { candidate, conversation, description, textOf } from "./conversation.js";
import { startServer } from "./server.js";
import { Client, join, kWays, nameOf } from "./socketio.js";

const server = await startServer();
const kLatest = { version: "4.8.4", transport: "upgrade" };

// Everyone speaks in turn and is heard by each of the others: so nothing else was on the way.
async function roundOfMarkers(room, clients) {
  for (const [index, client] of clients.entries()) {
    client.emit("sendCandidate", { candidate: `marker ${index}`, room });
    for (const other of clients) {
      if (other !== client) {
        await other.expect(["receiveCandidate", { candidate: `marker ${index}` }]);
      }
    }
  }
}

async function joined(clients, room) {
  for (const client of clients) client.emit("joinRoom", room);
  await settled(clients);
}

// joinRoom has no answer. A server hears each client in order, so a round trip tells that what was
// sent before it was handled, and that nothing else was on the way back: 003's `leave` is answered
// to whoever asks.
async function settled(clients) {
  await Promise.all(clients.map(async (client) => {
    client.emit("leave", "nowhere");
    await client.expect(["leaved", "nowhere", client.id]);
  }));
}

async function call(ann, ben, room, others = []) {
  const offer = { ...description("offer", "ann"), text: textOf(ann) };
  const answer = { ...description("answer", "ben"), text: textOf(ben) };
  ann.emit("sendOffer", { offer, room });
  for (const mark of [1, 2, 3]) ann.emit("sendCandidate", { candidate: candidate(mark), room });
  for (const hearer of [ben, ...others]) {
    await hearer.expect(["receiveOffer", { offer }],
      ...[1, 2, 3].map((mark) => ["receiveCandidate", { candidate: candidate(mark) }]));
  }
  ben.emit("sendAnswer", { answer, room });
  ben.emit("sendCandidate", { candidate: candidate(4), room });
  for (const hearer of [ann, ...others]) {
    await hearer.expect(["receiveAnswer", { answer }],
      ["receiveCandidate", { candidate: candidate(4) }]);
  }
}

for (const way of kWays) {
  conversation(`001: two clients of ${nameOf(way)} call in room 1`, async ({ cleanUp }) => {
    const [ann, ben] = await join(cleanUp, server, [way, way]);
    const room = `call ${nameOf(way)}`;
    await joined([ann, ben], room);
    await call(ann, ben, room);
    await roundOfMarkers(room, [ann, ben]);
  });
}

conversation("001: as the page does it: joinRoom(1) before there is a connection",
  async ({ cleanUp }) => {
    const pages = [new Client(server, kLatest), new Client(server, kLatest)];
    cleanUp(() => pages.forEach((page) => page.close()));
    for (const page of pages) page.emit("joinRoom", 1);
    await Promise.all(pages.map((page) => page.connected()));
    await settled(pages);
    await call(...pages, 1);
    await roundOfMarkers(1, pages);
  });

for (const count of [3, 8]) {
  conversation(`001: in a room of ${count} all others hear, and nobody hears himself`,
    async ({ cleanUp }) => {
      const ways = Array.from({ length: count }, (_, index) => kWays[(index * 4) % kWays.length]);
      const clients = await join(cleanUp, server, ways);
      await joined(clients, "many");
      const [ann, ben, ...others] = clients;
      await call(ann, ben, "many", others);
      await roundOfMarkers("many", clients);
    });
}

conversation("001: every client on every transport hears every other, once", async ({ cleanUp }) => {
  const clients = await join(cleanUp, server, kWays);
  await joined(clients, "everybody");
  await roundOfMarkers("everybody", clients);
  await roundOfMarkers("everybody", clients);
});

conversation("001: rooms do not hear each other, a room is known by how its name is written",
  async ({ cleanUp }) => {
    const clients = await join(cleanUp, server, Array(4).fill(kLatest));
    const [number, text, other, outside] = clients;
    number.emit("joinRoom", 7);
    text.emit("joinRoom", "7");
    other.emit("joinRoom", "7 ");
    await settled(clients);
    number.emit("sendOffer", { offer: "to seven", room: "7" });
    await text.expect(["receiveOffer", { offer: "to seven" }]);
    text.emit("sendOffer", { offer: "back", room: 7 });
    await number.expect(["receiveOffer", { offer: "back" }]);
    // Nobody else heard: the next thing at them is the answer to their own question.
    await settled([other, outside]);
  });

conversation("001: the server passes on the one part and no room, whatever it is",
  async ({ cleanUp }) => {
    const [ann, ben] = await join(cleanUp, server, [kLatest, kLatest]);
    await joined([ann, ben], 2);
    const parts = [null, 0, "", "text", [], [1, { two: 2 }], { a: { b: [] } }, false];
    for (const offer of parts) ann.emit("sendOffer", { more: 1, room: 2, offer, extra: "x" });
    for (const offer of parts) await ben.expect(["receiveOffer", { offer }]);
  });

conversation("001: senseless payloads end nothing", async ({ cleanUp }) => {
  const [ann, ben] = await join(cleanUp, server, [kLatest, kLatest]);
  await joined([ann, ben], 3);
  for (const event of ["sendOffer", "sendAnswer", "sendCandidate"]) {
    ann.emit(event);
    ann.emit(event, null);
    ann.emit(event, 5, 6);
    ann.emit(event, "text");
  }
  ann.emit("joinRoom");
  ann.emit("joinRoom", 3);
  ann.emit("no such event", { room: 3 });
  await call(ann, ben, 3);
  await roundOfMarkers(3, [ann, ben]);
});

conversation("001: who has gone is not missed and who comes back hears again",
  async ({ cleanUp }) => {
    const [ann, ben] = await join(cleanUp, server, [kLatest, kLatest]);
    await joined([ann, ben], "return");
    ben.close();
    ann.emit("sendOffer", { offer: 1, room: "return" });
    await settled([ann]);
    const [again] = await join(cleanUp, server, [kLatest]);
    await joined([again], "return");
    await roundOfMarkers("return", [ann, again]);
  });

conversation("001: a room of it leaves the lobby of 002 and rooms of 003 alone",
  async ({ cleanUp }) => {
    const [ann, ben, lobby, other, two] = await join(cleanUp, server, Array(5).fill(kLatest));
    await joined([ann, ben], "same");
    two.emit("join", "same");
    await two.expect(["joined", "same", two.id]);
    await call(ann, ben, "same");
    lobby.emit("offer", "for the lobby");
    await other.expect(["offer", "for the lobby"]);
    two.emit("message", "same", "to nobody");
    await settled([two]);
    await roundOfMarkers("same", [ann, ben]);
    other.emit("answer", "from the lobby");
    await lobby.expect(["answer", "from the lobby"]);
  });
