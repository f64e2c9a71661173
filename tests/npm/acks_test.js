// Acknowledgements with every Socket.IO client: join and joinRoom say whether it worked; nothing
// else is acknowledged, as on the servers that the pages were written for.

import assert from "node:assert/strict";

import { conversation, withPatience } from "./conversation.js";
import { isReference, startServer } from "./server.js";
import { join, kWays, nameOf } from "./socketio.js";

const server = await startServer();
const skip = isReference && "of the binary";

const asked = (client, ...event) => withPatience(`an answer to ${event[0]}`,
  new Promise((resolve) => client.emit(...event, (...answer) => resolve(answer))));

for (const way of kWays) {
  conversation(`acks: ${nameOf(way)} learns whether it is inside`, async ({ cleanUp }) => {
    const [ann, ben, cai] = await join(cleanUp, server, [way, way, way]);
    const room = `acks of ${nameOf(way)}`;
    for (const client of [ann, ben, cai]) {
      assert.deepEqual(await asked(client, "joinRoom", room), [null]);
    }
    for (const client of [ann, ben]) assert.deepEqual(await asked(client, "join", room), [null]);
    const [refused] = await asked(cai, "join", room);
    assert.match(refused, /full/);
    await cai.expect(["full", room, cai.id]);
    // Two at a time: each answer finds its question.
    const answers = [asked(cai, "join", room), asked(cai, "joinRoom", `${room} too`)];
    const [again, other] = await Promise.all(answers);
    assert.deepEqual(again, [refused]);
    assert.deepEqual(other, [null]);
    const [tooLong] = await asked(cai, "joinRoom", "x".repeat(300));
    assert.equal(typeof tooLong, "string");
  }, { skip });

  conversation(`acks: ${nameOf(way)} gets none for what is only relayed`, async ({ cleanUp }) => {
    const [ann, ben] = await join(cleanUp, server, [way, way], { query: { room: nameOf(way) } });
    const answered = [];
    for (const event of ["offer", "answer", "onicecandidate", "unheard-of"]) {
      ann.emit(event, event, () => answered.push(event));
    }
    for (const event of ["offer", "answer", "onicecandidate"]) await ben.expect([event, event]);
    assert.deepEqual(await asked(ann, "joinRoom", "a marker"), [null]);
    assert.deepEqual(answered, []);
  }, { skip });
}

conversation("acks: 4.8.4 can await them, with binary arguments and with a time limit",
  async ({ cleanUp }) => {
    const way = { version: "4.8.4", transport: "upgrade" };
    const [ann] = await join(cleanUp, server, [way]);
    assert.equal(await ann.socket.timeout(5000).emitWithAck("joinRoom", "await"), null);
    await assert.rejects(ann.socket.timeout(100).emitWithAck("offer", Buffer.from([1])));
    assert.equal(await ann.socket.emitWithAck("join", "await"), null);
  }, { skip });
