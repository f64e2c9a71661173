// Tutorial 003: rooms of two, with join, joined, otherjoin, full, message, leave, leaved and bye.

import { candidate, conversation, description, kForeignText, textOf } from "./conversation.js";
import { startServer } from "./server.js";
import { Client, join, kVersions, kWays, nameOf } from "./socketio.js";

const server = await startServer();
const kPage = { version: "2.0.3", transport: "upgrade" };

async function enter(client, room) {
  client.emit("join", room);
  await client.expect(["joined", room, client.id]);
}

async function pairUp(first, second, room) {
  await enter(first, room);
  await enter(second, room);
  await first.expect(["otherjoin", room]);
}

// What is sent to a room passes the server before the answer to `leave`, here of a room of nobody.
async function heardNothing(...clients) {
  for (const client of clients) {
    client.emit("leave", "a room of nobody");
    await client.expect(["leaved", "a room of nobody", client.id]);
  }
}

async function call(first, second, room) {
  const offer = { ...description("offer", "first"), text: textOf(first) };
  const answer = { ...description("answer", "second"), text: textOf(second) };
  const label = (mark) => ({ type: "candidate", label: 0, id: "0", ...candidate(mark) });
  first.emit("message", room, offer);
  for (const mark of [1, 2, 3]) first.emit("message", room, label(mark));
  await second.expect(["message", room, offer],
    ...[1, 2, 3].map((mark) => ["message", room, label(mark)]));
  second.emit("message", room, answer);
  second.emit("message", room, label(4));
  await first.expect(["message", room, answer], ["message", room, label(4)]);
}

for (const way of kWays) {
  conversation(`003: two clients of ${nameOf(way)} meet, call and part; a third finds it full`,
    async ({ cleanUp }) => {
      const [ann, ben, cai] = await join(cleanUp, server, [way, way, way]);
      const room = `room of ${nameOf(way)}`;
      await pairUp(ann, ben, room);
      cai.emit("join", room);
      await cai.expect(["full", room, cai.id]);
      await call(ann, ben, room);
      cai.emit("message", room, "from outside");
      await heardNothing(cai);
      ben.emit("leave", room);
      await ben.expect(["leaved", room, ben.id]);
      await ann.expect(["bye", room, ben.id]);
      ann.emit("message", room, "to nobody");
      await heardNothing(ann, ben, cai);
    });
}

for (const first of Object.keys(kVersions)) {
  conversation(`003: ${first} calls each of the versions`, async ({ cleanUp }) => {
    for (const second of Object.keys(kVersions)) {
      const pair = await join(cleanUp, server,
        [{ version: first, transport: "upgrade" }, { version: second, transport: "polling" }]);
      const room = `${first} and ${second}`;
      await pairUp(...pair, room);
      await call(...pair, room);
      await heardNothing(...pair);
      pair.forEach((client) => client.close());
    }
  });
}

conversation("003: as the page does it: join before there is a connection", async ({ cleanUp }) => {
  const [ann, ben] = [new Client(server, kPage), new Client(server, kPage)];
  cleanUp(() => [ann, ben].forEach((client) => client.close()));
  ann.emit("join", "%E6%88%BF%E9%97%B4");
  await ann.connected();
  await ann.expect(["joined", "%E6%88%BF%E9%97%B4", ann.id]);
  ben.emit("join", "%E6%88%BF%E9%97%B4");
  await ben.connected();
  await ben.expect(["joined", "%E6%88%BF%E9%97%B4", ben.id]);
  await ann.expect(["otherjoin", "%E6%88%BF%E9%97%B4"]);
  await call(ann, ben, "%E6%88%BF%E9%97%B4");
});

conversation("003: eight clients in four rooms hear their partner only", async ({ cleanUp }) => {
  const ways = Array.from({ length: 8 }, (_, index) => kWays[(index * 4) % kWays.length]);
  const clients = await join(cleanUp, server, ways);
  const pairs = [0, 1, 2, 3].map((index) => [clients[index], clients[index + 4], `pair ${index}`]);
  for (const [first, second, room] of pairs) await pairUp(first, second, room);
  for (const [first, second, room] of pairs) await call(first, second, room);
  await heardNothing(...clients);
});

conversation("003: of eight in one room six find it full", async ({ cleanUp }) => {
  const clients = await join(cleanUp, server, Array(8).fill(kPage));
  const [ann, ben, ...others] = clients;
  await pairUp(ann, ben, "crowd");
  for (const other of others) {
    other.emit("join", "crowd");
    await other.expect(["full", "crowd", other.id]);
  }
  await call(ann, ben, "crowd");
  await heardNothing(...clients);
  ann.emit("leave", "crowd");
  await ann.expect(["leaved", "crowd", ann.id]);
  await ben.expect(["bye", "crowd", ann.id]);
  await enter(others[0], "crowd");
  await ben.expect(["otherjoin", "crowd"]);
  await call(ben, others[0], "crowd");
  await heardNothing(...clients);
});

conversation("003: a room keeps its own JSON type", async ({ cleanUp }) => {
  for (const room of [false, 7, "7 ", "", kForeignText]) {
    const [ann, ben] = await join(cleanUp, server, [kPage, kPage]);
    await pairUp(ann, ben, room);
    await call(ann, ben, room);
    ann.emit("leave", room);
    await ann.expect(["leaved", room, ann.id]);
    await ben.expect(["bye", room, ann.id]);
    [ann, ben].forEach((client) => client.close());
  }
});

conversation("003: leaving a room of nobody is answered and ends nothing", async ({ cleanUp }) => {
  const [ann, ben] = await join(cleanUp, server, [kPage, kPage]);
  await heardNothing(ann, ben);
  await pairUp(ann, ben, "after");
});

conversation("003: who is not inside can neither speak nor send others away",
  async ({ cleanUp }) => {
    const [ann, ben, eve] = await join(cleanUp, server, [kPage, kPage, kPage]);
    await pairUp(ann, ben, "private");
    eve.emit("message", "private", "hello?");
    eve.emit("leave", "private");
    await eve.expect(["leaved", "private", eve.id]);
    await call(ann, ben, "private");
    await heardNothing(ann, ben, eve);
  });

conversation("003: joining twice is answered and announced again", async ({ cleanUp }) => {
  const [ann, ben] = await join(cleanUp, server, [kPage, kPage]);
  await pairUp(ann, ben, "twice");
  await enter(ben, "twice");
  await ann.expect(["otherjoin", "twice"]);
  await call(ann, ben, "twice");
});

conversation("003: a vanished partner is announced by bye, and his place is free",
  async ({ cleanUp }) => {
    for (const transport of ["polling", "websocket", "upgrade"]) {
      const way = { version: "2.0.3", transport };
      const [ann, ben, cai] = await join(cleanUp, server, [way, way, way]);
      const room = `vanished ${transport}`;
      await pairUp(ann, ben, room);
      const { id } = ben;
      ben.close();
      await ann.expect(["bye", room, id]);
      await enter(cai, room);
      await ann.expect(["otherjoin", room]);
      await call(ann, cai, room);
    }
  });

conversation("003: leave, disconnect and call again on a new socket", async ({ cleanUp }) => {
  const [ann, ben] = await join(cleanUp, server, [kPage, kPage]);
  await pairUp(ann, ben, "again");
  ben.emit("leave", "again");
  await ben.expect(["leaved", "again", ben.id]);
  await ann.expect(["bye", "again", ben.id]);
  ben.close();
  const [next] = await join(cleanUp, server, [kPage]);
  await enter(next, "again");
  await ann.expect(["otherjoin", "again"]);
  await call(ann, next, "again");
  await heardNothing(ann, next);
});

conversation("003: senseless calls end nothing", async ({ cleanUp }) => {
  const [ann, ben] = await join(cleanUp, server, [kPage, kPage]);
  await pairUp(ann, ben, "sense");
  for (const event of ["message", "no such event"]) {
    ann.emit(event);
    ann.emit(event, null);
    ann.emit(event, null, null, null);
    ann.emit(event, { deep: [] }, 1);
  }
  await call(ann, ben, "sense");
  await heardNothing(ann, ben);
});
