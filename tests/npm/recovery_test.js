// Clients of 4.6 and later come back as the same socket and get what they missed.

import assert from "node:assert/strict";

import { conversation, kForeignText, withPatience } from "./conversation.js";
import { isReference, startServer } from "./server.js";
import { join } from "./socketio.js";

const server = await startServer({}, { recovers: true });

for (const transport of ["polling", "websocket", "upgrade"]) {
  conversation(`Socket.IO: 4.8.4 by ${transport} gets what it missed, as the same socket`,
    async ({ cleanUp }) => {
      const way = { version: "4.8.4", transport };
      const options = { reconnection: true, reconnectionDelay: 200, randomizationFactor: 0 };
      const [ann] = await join(cleanUp, server, [way], options);
      const [ben] = await join(cleanUp, server, [way]);
      ann.emit("joinRoom", "recovered");
      ben.emit("joinRoom", "recovered");
      // Both are inside when each has heard the other, and ann has an offset.
      ben.emit("leave", "nowhere");
      await ben.expect(["leaved", "nowhere", ben.id]);
      ann.emit("sendCandidate", { candidate: 0, room: "recovered" });
      await ben.expect(["receiveCandidate", { candidate: 0 }]);
      ben.emit("sendCandidate", { candidate: 1, room: "recovered" });
      await ann.expect(["receiveCandidate", { candidate: 1 }]);
      const { id } = ann;
      const back = new Promise((resolve) => {
        ann.socket.once("disconnect", () => ann.socket.once("connect", resolve));
      });
      ann.cutOff();
      for (const mark of [2, 3]) {
        ben.emit("sendCandidate", { candidate: { mark, text: kForeignText }, room: "recovered" });
      }
      await withPatience("the second connection", back);
      assert.equal(ann.socket.recovered, true, "recovered");
      assert.equal(ann.id, id);
      ben.emit("sendCandidate", { candidate: 4, room: "recovered" });
      await ann.expect(
        ...[2, 3].map((mark) => ["receiveCandidate", { candidate: { mark, text: kForeignText } }]),
        ["receiveCandidate", { candidate: 4 }]);
      // And it is in its room without having asked again.
      ann.emit("sendCandidate", { candidate: 5, room: "recovered" });
      await ben.expect(["receiveCandidate", { candidate: 5 }]);
    });
}

const kWay = { version: "4.8.4", transport: "websocket" };
const kBack = { reconnection: true, reconnectionDelay: 100, randomizationFactor: 0 };
const comeBack = (client) => withPatience("the second connection", new Promise((resolve) => {
  client.socket.once("disconnect", () => client.socket.once("connect", resolve));
}));

async function inside(cleanUp, room, options) {
  const [ann] = await join(cleanUp, server, [kWay], { ...kBack, ...options });
  const [ben] = await join(cleanUp, server, [kWay], options);
  for (const client of [ann, ben]) {
    client.emit("joinRoom", room);
    client.emit("leave", "a marker");
    await client.expect(["leaved", "a marker", client.id]);
  }
  ben.emit("sendCandidate", { candidate: 0, room });
  await ann.expect(["receiveCandidate", { candidate: 0 }]);
  return [ann, ben];
}

conversation("Socket.IO: 4.8.4 is recovered in its namespace, with binary events",
  async ({ cleanUp }) => {
    const room = "binary";
    const [ann, ben] = await inside(cleanUp, room, { namespace: "/elsewhere" });
    const back = comeBack(ann);
    ann.cutOff();
    const blob = Buffer.from([0, 1, 254, 255]);
    ben.emit("sendOffer", { offer: { blob, twice: [blob] }, room });
    await back;
    assert.equal(ann.socket.recovered, true);
    const [name, { offer }] = await ann.inbox.next();
    assert.equal(name, "receiveOffer");
    for (const bytes of [offer.blob, ...offer.twice]) {
      assert.deepEqual(Buffer.from(bytes), blob);
    }
  }, { skip: isReference && "one namespace there" });

conversation("Socket.IO: 4.8.4 is recovered time and again", async ({ cleanUp }) => {
  const room = "again";
  const [ann, ben] = await inside(cleanUp, room);
  const { id } = ann;
  for (let mark = 1; mark <= 4; mark += 1) {
    const back = comeBack(ann);
    ann.cutOff();
    ben.emit("sendCandidate", { candidate: mark, room });
    await back;
    assert.equal(ann.socket.recovered, true);
    assert.equal(ann.id, id);
    await ann.expect(["receiveCandidate", { candidate: mark }]);
  }
});

conversation("Socket.IO: 4.8.4 that has missed too much begins anew", async ({ cleanUp }) => {
  const room = "too much";
  const [ann, ben] = await inside(cleanUp, room);
  const { id } = ann;
  const back = comeBack(ann);
  ann.cutOff();
  const text = "x".repeat(60_000);
  for (let mark = 0; mark < 5; mark += 1) ben.emit("sendCandidate", { candidate: text, room });
  ben.emit("leave", "a marker");
  await ben.expect(["leaved", "a marker", ben.id]);
  await back;
  assert.equal(ann.socket.recovered, false);
  assert.notEqual(ann.id, id);
  assert.equal(ann.inbox.size, 0);
}, { skip: isReference && "Node keeps all of it" });

conversation("Socket.IO: 4.8.4 that said goodbye is not expected back", async ({ cleanUp }) => {
  const room = "goodbye";
  const [ann, ben] = await inside(cleanUp, room);
  const { id } = ann;
  ann.socket.disconnect();
  ben.emit("sendCandidate", { candidate: "for nobody", room });
  ben.emit("leave", "a marker");
  await ben.expect(["leaved", "a marker", ben.id]);
  const connected = new Promise((resolve) => ann.socket.once("connect", resolve));
  ann.socket.connect();
  await withPatience("the second connection", connected);
  assert.notEqual(ann.id, id);
  assert.equal(ann.inbox.size, 0);
});
