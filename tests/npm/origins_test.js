// --allowed-origin: whose pages may use the protocols, by HTTP and by WebSocket, from a browser's
// point of view: it sends an Origin and reads the CORS headers.

import assert from "node:assert/strict";
import { connect } from "node:net";
import WebSocket from "ws";

import { conversation, withPatience } from "./conversation.js";
import { isReference, startServer } from "./server.js";
import { Client, kWays, nameOf } from "./socketio.js";

const kNamed = ["https://app.example.org", "http://tutorial.example:8181"];
const open = await startServer();
const named = isReference ? open : await startServer({ "--allowed-origin": kNamed });
const skip = isReference && "of the binary";

const kKey = "dGhlIHNhbXBsZSBub25jZQ==";
const kSockets = ["/", "/?room=a", "/some/path", "/socket.io/?EIO=4&transport=websocket",
  "/socket.io/?EIO=3&transport=websocket", "/v3/websocket", "/y-webrtc",
  "/peerjs?key=peerjs&id=ID&token=b&version=1.5.5"];
const kPolls = ["/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=3&transport=polling",
  "/peerjs/id", "/peerjs/peerjs/id"];
const ownOrigin = (server) => server.url;
// Almost right is wrong: an origin is compared as a whole.
const kForeign = [
  "https://evil.example", "null", "file://", "https://app.example.org:444",
  "http://app.example.org", "https://app.example.org.evil.example", "https://xapp.example.org",
  "https://APP.example.org", "https://app.example.org/", "https://app.example.org, https://a.b",
  "http://tutorial.example", "*", "",
];

let ids = 0;
function handshake(server, path, origin) {
  const headers = origin === undefined ? {} : { Origin: origin };
  const socket = new WebSocket(server.socketUrl + path.replace("ID", `id${(ids += 1)}`),
    { headers });
  return withPatience(`${path} from ${origin}`, new Promise((resolve, reject) => {
    socket.once("open", () => resolve(101));
    socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode));
    socket.on("error", reject);  // of terminate, too, when all is said
  })).finally(() => socket.terminate());
}

// Reads the whole answer: fetch keeps the connection of one that nobody reads until the garbage is
// collected, and breaks it then.
async function ask(server, path, origin, method = "GET") {
  const answer = await fetch(server.url + path, {
    method,
    headers: {
      ...(origin === undefined ? {} : { Origin: origin }),
      ...(method === "OPTIONS" ? { "Access-Control-Request-Method": "POST" } : {}),
    },
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

conversation("origins: without a name every site's WebSocket is welcome", async () => {
  for (const path of kSockets) {
    for (const origin of [undefined, "null", "file://", "https://any.example", ownOrigin(open)]) {
      assert.equal(await handshake(open, path, origin), 101, `${path} from ${origin}`);
    }
  }
}, { skip });

conversation("origins: without a name every site may read what it asks", async () => {
  for (const path of kPolls) {
    for (const origin of ["null", "https://any.example", "http://localhost:3000"]) {
      const answer = await ask(open, path, origin);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("access-control-allow-origin"), origin);
      assert.match(answer.headers.get("vary"), /\bOrigin\b/i);
    }
    const plain = await ask(open, path);
    assert.equal(plain.status, 200);
    assert.equal(plain.headers.get("access-control-allow-origin"), null);
  }
}, { skip });

conversation("origins: with names the named, our own and no browser get a WebSocket", async () => {
  for (const path of kSockets) {
    for (const origin of [undefined, ...kNamed, ownOrigin(named)]) {
      assert.equal(await handshake(named, path, origin), 101, `${path} from ${origin}`);
    }
    for (const origin of kForeign) {
      assert.equal(await handshake(named, path, origin), 403, `${path} from ${origin}`);
    }
  }
}, { skip });

conversation("origins: with names only the named may ask and read", async () => {
  for (const path of kPolls) {
    for (const origin of [...kNamed, ownOrigin(named)]) {
      const answer = await ask(named, path, origin);
      assert.equal(answer.status, 200, `${path} from ${origin}`);
      assert.equal(answer.headers.get("access-control-allow-origin"), origin);
      assert.match(answer.headers.get("vary"), /\bOrigin\b/i);
      assert.ok([200, 204].includes((await ask(named, path, origin, "OPTIONS")).status));
    }
    for (const origin of kForeign) {
      for (const method of ["GET", "POST", "OPTIONS"]) {
        const answer = await ask(named, path, origin, method);
        assert.equal(answer.status, 403, `${method} ${path} from ${origin}`);
        assert.equal(answer.headers.get("access-control-allow-origin"), null);
        if (path.startsWith("/socket.io")) assert.equal(JSON.parse(answer.text).code, 4);
      }
    }
    assert.equal((await ask(named, path)).status, 200);
  }
}, { skip });

// A session that a named site's page has opened is of no use to another site that knows its id.
conversation("origins: a session's id does not help a foreign page", async () => {
  for (const version of [3, 4]) {
    const path = `/socket.io/?EIO=${version}&transport=polling`;
    const { text } = await ask(named, path, kNamed[0]);
    assert.match(text, /"sid"/);
    const sid = /"sid":"([^"]+)"/.exec(text)[1];
    for (const method of ["GET", "POST", "OPTIONS"]) {
      const answer = await ask(named, `${path}&sid=${sid}`, "https://evil.example", method);
      assert.equal(answer.status, 403, method);
    }
    const upgrade = `/socket.io/?EIO=${version}&transport=websocket&sid=${sid}`;
    assert.equal(await handshake(named, upgrade, "null"), 403);
    assert.equal(await handshake(named, upgrade, kNamed[0]), 101);
  }
}, { skip });

conversation("origins: two of them in one request are none", async ({ cleanUp }) => {
  for (const server of [open, named]) {
    const socket = connect(server.port, "127.0.0.1");
    cleanUp(() => socket.destroy());
    const heard = new Promise((resolve) => socket.once("data", resolve));
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${kKey}\r\n` +
      `Origin: ${kNamed[0]}\r\nOrigin: ${kNamed[0]}\r\n\r\n`);
    assert.match(String(await withPatience("an answer", heard)), /^HTTP\/1\.1 403 /);
  }
}, { skip });

conversation("origins: credentials are for named sites and never for being one", async () => {
  for (const path of ["/api/ice", "/turn?service=turn", "/api/v1/turn/credentials"]) {
    assert.equal((await ask(named, path, kNamed[0])).status >= 400, true);
    for (const server of [open, named]) {
      const foreign = await ask(server, path, "null");
      assert.equal(foreign.status, 403, path);
      assert.equal(foreign.headers.get("access-control-allow-origin"), null);
      assert.equal((await ask(server, path, "https://evil.example")).status, 403, path);
    }
  }
  for (const server of [open, named]) {
    assert.equal(await handshake(server, "/ws", "null"), 403);
    assert.equal(await handshake(server, "/ws", "https://evil.example"), 403);
  }
  assert.equal(await handshake(named, "/ws", kNamed[0]), 101);
}, { skip });

for (const way of kWays) {
  conversation(`origins: ${nameOf(way)} connects from a named site and from no other`,
    async ({ cleanUp }) => {
      const from = (origin) => {
        const client = new Client(named, way, { extraHeaders: { Origin: origin } });
        cleanUp(() => client.close());
        return client.connected();
      };
      await from(kNamed[1]);
      await assert.rejects(from("https://evil.example"));
      await assert.rejects(from("null"));
    }, { skip });
}
