// What the Socket.IO clients do beside events: upgrades under load, namespaces, reconnecting.

import assert from "node:assert/strict";

import { candidate, conversation, withPatience } from "./conversation.js";
import { isReference, startServer } from "./server.js";
import { Client, join, kVersions, kWays, nameOf } from "./socketio.js";

const server = await startServer();

for (const version of Object.keys(kVersions)) {
  conversation(`Socket.IO: nothing is lost or doubled while ${version} upgrades`,
    async ({ cleanUp }) => {
      const way = { version, transport: "upgrade" };
      const [listener] = await join(cleanUp, server, [{ version, transport: "websocket" }]);
      const client = new Client(server, way);
      cleanUp(() => client.close());
      await withPatience("connect",
        new Promise((resolve) => client.socket.once("connect", resolve)));
      // 120 of each: a burst below what one client may say at once.
      for (let mark = 0; mark < 60; mark += 1) {
        client.emit("onicecandidate", candidate(mark));
        listener.emit("answer", mark);
      }
      await client.connected();
      for (let mark = 60; mark < 120; mark += 1) {
        client.emit("onicecandidate", candidate(mark));
        listener.emit("answer", mark);
      }
      for (let mark = 0; mark < 120; mark += 1) {
        await listener.expect(["onicecandidate", candidate(mark)]);
        await client.expect(["answer", mark]);
      }
      assert.equal(client.engine.transport.name, "websocket");
    });
}

for (const way of kWays) {
  conversation(`Socket.IO: ${nameOf(way)} reconnects by itself when its connection is lost`,
    async ({ cleanUp }) => {
      const options = { reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 20 };
      const [ann] = await join(cleanUp, server, [way], options);
      const [ben] = await join(cleanUp, server, [{ version: "4.8.4", transport: "websocket" }]);
      const lost = ann.disconnected();
      const back = new Promise((resolve) => {
        ann.socket.once("disconnect", () => ann.socket.once("connect", resolve));
      });
      ann.cutOff();
      await lost;
      await withPatience("the second connection", back);
      ann.emit("offer", "I am back");
      await ben.expect(["offer", "I am back"]);
      ben.emit("answer", "welcome");
      await ann.expect(["answer", "welcome"]);
    });
}

for (const version of Object.keys(kVersions)) {
  conversation(`Socket.IO: ${version} in two namespaces on one connection`, async ({ cleanUp }) => {
    const way = { version, transport: "upgrade" };
    const [main] = await join(cleanUp, server, [way]);
    const chat = main.socket.io.socket("/chat");
    cleanUp(() => chat.close());
    await withPatience("/chat", new Promise((resolve, reject) => {
      chat.once("connect", resolve);
      chat.once("error", reject);
      chat.once("connect_error", reject);
    }));
    const [other] = await join(cleanUp, server, [way], { namespace: "/chat" });
    const heard = new Promise((resolve) => chat.on("offer", (...args) => resolve(args[0])));
    other.emit("offer", "to the chat");
    assert.equal(await withPatience("an offer in /chat", heard), "to the chat");
    chat.emit("answer", "in the chat");
    await other.expect(["answer", "in the chat"]);
    assert.equal(main.inbox.size, 0);
  }, { skip: isReference && "one namespace there" });
}

conversation("Socket.IO: addresses without the final slash are as good", async ({ cleanUp }) => {
  for (const transport of ["polling", "websocket"]) {
    const way = { version: "4.8.4", transport };
    const clients = await join(cleanUp, server, [way, way], { addTrailingSlash: false });
    clients[0].emit("offer", transport);
    await clients[1].expect(["offer", transport]);
    clients.forEach((client) => client.close());
  }
}, { skip: isReference && "a slash is needed there" });
