// Clients of 4.6 and later come back as the same socket and get what they missed.

import assert from "node:assert/strict";

import { conversation, kForeignText, withPatience } from "./conversation.js";
import { startServer } from "./server.js";
import { join } from "./socketio.js";

const server = await startServer({}, { recovers: true });

for (const transport of ["websocket", "upgrade"]) {
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
