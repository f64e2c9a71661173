// What would end a server that builds trees of its messages, or believes lengths: it ends the
// connection that it came from at most, and the others go on talking, in every protocol.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import WebSocket from "ws";

import { conversation, Inbox, withPatience } from "./conversation.js";
import { isReference, startServer } from "./server.js";

const server = await startServer();
const skip = isReference && "it ends there";

const kDeep = 20_000;
const nest = (open, close, inside = "1") => open.repeat(kDeep) + inside + close.repeat(kDeep);
// As the argument of an event, the payload of a message, or the whole text.
const kValues = {
  "arrays 20 000 deep": nest("[", "]"),
  "objects 20 000 deep": nest('{"a":', "}"),
  "20 000 open arrays": "[".repeat(kDeep),
  "a number of 20 000 digits": "9".repeat(kDeep),
  "an exponent without end": `1e${"9".repeat(kDeep)}`,
  "minus and nothing": "-",
  "20 000 equal names": `{${'"a":1,'.repeat(kDeep)}"a":1}`,
  "an escape that ends": '"\\u12',
  "half a surrogate pair": '"\\ud800"',
  "a NUL": '"\u0000"',
  "a placeholder of nothing": '{"_placeholder":true,"num":0}',
  "a placeholder of far away": '{"_placeholder":true,"num":1e99}',
  "__proto__": '{"__proto__":{"x":1},"constructor":{"prototype":{}}}',
};

// Each protocol: where it is, what two people say to each other, and how a value travels in it.
const kDialects = {
  "the raw relay": {
    path: () => "/?room=hostile",
    hello: [],
    say: '{"event":"hello"}',
    carry: (value) => [value, `{"event":"_offer","data":${value}}`],
  },
  "Socket.IO 5": {
    path: () => "/socket.io/?EIO=4&transport=websocket",
    hello: ["40", '42["joinRoom","hostile"]'],
    say: '42["sendOffer",{"offer":"hello","room":"hostile"}]',
    carry: (value) => [`42["offer",${value}]`, `42["sendOffer",{"offer":${value},"room":"hostile"}]`,
      `42["joinRoom",${value}]`, `40${value}`, `451-["offer",${value}]`, `42${value}`,
      `4299999999999999999999["joinRoom",${value}]`, `42[${value}]`],
  },
  "Socket.IO 4": {
    path: () => "/socket.io/?EIO=3&transport=websocket",
    hello: ['42["joinRoom","hostile"]'],
    say: '42["sendOffer",{"offer":"hello","room":"hostile"}]',
    carry: (value) => [`42["message","hostile",${value}]`, `42["join",${value}]`, `42${value}`],
  },
  ScaleDrone: {
    path: () => "/v3/websocket",
    hello: ['{"type":"handshake","channel":"c","version":2,"client_data":null,"callback":0}',
      '{"type":"subscribe","room":"hostile","callback":1}'],
    say: '{"type":"publish","room":"hostile","message":"hello"}',
    carry: (value) => [value, `{"type":"publish","room":"hostile","message":${value}}`,
      `{"type":"handshake","channel":"c","client_data":${value},"callback":${value}}`],
  },
  PeerJS: {
    path: (id) => `/peerjs?key=peerjs&id=hostile-${id}&token=${id}&version=1.5.5`,
    hello: [],
    say: (id) => JSON.stringify({ type: "OFFER", dst: `hostile-${id}`, payload: "hello" }),
    carry: (value) => [value, `{"type":"OFFER","dst":"hostile-1","payload":${value}}`,
      `{"type":"OFFER","dst":${value}}`],
  },
  "y-webrtc": {
    path: () => "/y-webrtc",
    hello: ['{"type":"subscribe","topics":["hostile"]}'],
    say: '{"type":"publish","topic":"hostile","data":"hello"}',
    carry: (value) => [value, `{"type":"publish","topic":"hostile","data":${value}}`,
      `{"type":"subscribe","topics":${value}}`],
  },
  "the native protocol": {
    path: () => "/ws",
    hello: [],
    say: null,
    carry: (value) => [value, `{"type":"join","room":"a","data":${value}}`],
  },
};

let ids = 0;
async function open(cleanUp, { path, hello }) {
  const id = (ids += 1);
  const socket = new WebSocket(server.socketUrl + path(id));
  cleanUp(() => socket.terminate());
  socket.on("error", () => {});
  const peer = { id, socket, heard: new Inbox(path(id)) };
  socket.on("message", (data) => peer.heard.put(String(data)));
  peer.closed = new Promise((resolve) => socket.once("close", resolve));
  await withPatience(path(id), new Promise((resolve) => socket.once("open", resolve)));
  for (const text of hello) socket.send(text);
  await answered(peer);
  return peer;
}

// Everything before has been looked at: the connection has ended, or the ping comes back.
function answered(peer) {
  const pong = new Promise((resolve) => peer.socket.once("pong", resolve));
  peer.socket.ping();
  return withPatience("a pong or the end", Promise.race([pong, peer.closed]));
}

async function talk(dialect, ann, ben) {
  if (dialect.say === null) return answered(ann);
  const mark = typeof dialect.say === "function" ? dialect.say(ben.id) : dialect.say;
  ann.socket.send(mark);
  for (let count = 0; count < 500; count += 1) {
    if (/hello/.test(await ben.heard.next("hello"))) return undefined;
  }
  throw new Error("no hello");
}

for (const [name, dialect] of Object.entries(kDialects)) {
  conversation(`hostile JSON: ${name} goes on for the others`, async ({ cleanUp }) => {
    const [ann, ben] = [await open(cleanUp, dialect), await open(cleanUp, dialect)];
    for (const [what, value] of Object.entries(kValues)) {
      for (const text of dialect.carry(value)) {
        const bad = await open(cleanUp, dialect);
        bad.socket.send(text);
        await answered(bad);
        bad.socket.terminate();
        await bad.closed;
      }
      await talk(dialect, ann, ben).catch((error) => {
        throw new Error(`after ${what}: ${error.message}`);
      });
    }
  }, { skip });

  conversation(`hostile frames: ${name} goes on for the others`, async ({ cleanUp }) => {
    const [ann, ben] = [await open(cleanUp, dialect), await open(cleanUp, dialect)];
    const attempts = {
      "text that is not UTF-8": (socket) => socket.send(Buffer.from([0x22, 0xff, 0x22]),
        { binary: false }),
      "two megabytes": (socket) => socket.send("x".repeat(2_000_000)),
      "fragments without end": (socket) => {
        for (let count = 0; count < 2000; count += 1) socket.send("x".repeat(1000), { fin: false });
      },
      "empty fragments without end": (socket) => {
        for (let count = 0; count < 5000; count += 1) socket.send("", { fin: false });
      },
      "bytes where text belongs": (socket) => socket.send(randomBytes(100)),
      "a thousand pings": (socket) => {
        for (let count = 0; count < 1000; count += 1) socket.ping("x");
      },
    };
    for (const [what, attempt] of Object.entries(attempts)) {
      const bad = await open(cleanUp, dialect);
      attempt(bad.socket);
      // A message that has only begun may stay open: it costs this connection its share.
      await answered(bad);
      bad.socket.terminate();
      await talk(dialect, ann, ben).catch((error) => {
        throw new Error(`after ${what}: ${error.message}`);
      });
    }
  }, { skip });
}

// The same by polling, where a payload holds several packets.
for (const version of [3, 4]) {
  conversation(`hostile payloads: EIO ${version} goes on for the others`, async ({ cleanUp }) => {
    const dialect = kDialects[version === 4 ? "Socket.IO 5" : "Socket.IO 4"];
    const [ann, ben] = [await open(cleanUp, dialect), await open(cleanUp, dialect)];
    const address = `${server.url}/socket.io/?EIO=${version}&transport=polling`;
    const post = async (body, type = "text/plain;charset=UTF-8") => {
      const sid = /"sid":"([^"]+)"/.exec(await (await fetch(address)).text())[1];
      const { status } = await fetch(`${address}&sid=${sid}`,
        { method: "POST", body, headers: { "Content-Type": type } });
      assert.ok([200, 400, 413].includes(status), String(status));
    };
    const packet = (text) => (version === 3 ? `${text.length}:${text}` : text);
    const connected = version === 4 ? "40\x1e" : "";
    for (const value of Object.values(kValues)) {
      for (const text of dialect.carry(value)) await post(connected + packet(text));
    }
    for (const body of ["", ":", "1", "-1:4", "99999999999999999999:4", "1:", "5:4", "0:",
      "\x1e".repeat(10_000), "4".repeat(10_000), "b", "b!!!", "b4", "bAAAA".repeat(1000),
      Buffer.from([0xff, 0xfe]), "x".repeat(1_500_000)]) {
      await post(body);
      await post(body, "application/octet-stream");
    }
    for (const bytes of [[0], [1, 255], [0, 9, 9, 9, 9, 9, 9, 9, 255, 4], [1, 1, 255], [0, 255, 4],
      [2, 1, 255, 4], [1, 10, 255, 4]]) {
      await post(Buffer.from(bytes), "application/octet-stream");
    }
    await talk(dialect, ann, ben);
  }, { skip });
}

conversation("hostile lengths: a frame that announces 2^63 bytes ends at once", async ({ cleanUp }) => {
  for (const { path } of Object.values(kDialects)) {
    const socket = connect(server.port, "127.0.0.1");
    cleanUp(() => socket.destroy());
    socket.on("error", () => {});
    const gone = new Promise((resolve) => socket.once("close", resolve));
    const upgraded = new Promise((resolve) => socket.once("data", resolve));
    socket.write(`GET ${path((ids += 1))} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n` +
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    await withPatience("a WebSocket", upgraded);
    socket.resume();
    socket.end(Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]));
    await withPatience(`the end on ${path(0)}`, gone);
  }
}, { skip });

// What is relayed is checked, not rebuilt: numbers, order and spaces stay as they were written.
conversation("JSON passes as it was written", async ({ cleanUp }) => {
  const written = '{ "b":1.0,"a" : 1e400,"a":-0,"big":123456789012345678901234567890,"u":"\\u00e9é" }';
  const exchange = async (dialect, text, wanted) => {
    const [ann, ben] = [await open(cleanUp, dialect), await open(cleanUp, dialect)];
    while (ben.heard.size > 0) await ben.heard.next();
    ann.socket.send(text(ben));
    const heard = await ben.heard.next(written);
    assert.ok(heard.includes(written), heard);
    if (wanted) assert.equal(heard, wanted);
    for (const { socket } of [ann, ben]) socket.terminate();
  };
  await exchange(kDialects["the raw relay"], () => written, written);
  await exchange(kDialects["Socket.IO 5"],
    () => `42["sendOffer",{"offer":${written},"room":"hostile"}]`);
  await exchange(kDialects.ScaleDrone,
    () => `{"type":"publish","room":"hostile","message":${written}}`);
  await exchange(kDialects.PeerJS,
    ({ id }) => `{"type":"OFFER","dst":"hostile-${id}","payload":${written}}`);
  await exchange(kDialects["y-webrtc"],
    () => `{"type":"publish","topic":"hostile","data":${written}}`);
}, { skip });

conversation("a reader who does not read is cut, and costs no more than his share",
  async ({ cleanUp }) => {
    const path = (id) => `/peerjs?key=peerjs&id=${id}&token=t-${id}&version=1.5.5`;
    const peer = (id) => open(cleanUp, { path: () => path(id), hello: [] });
    const slow = await peer("slow");
    slow.socket.pause();
    const before = server.memory();
    const payload = "x".repeat(60_000);
    for (let count = 0; count < 20; count += 1) {
      const sender = await peer(`sender-${count}`);
      for (let index = 0; index < 40; index += 1) {
        sender.socket.send(JSON.stringify({ type: "OFFER", dst: "slow", payload }));
      }
      await answered(sender);
    }
    // His id is free again: to others it is not taken any more.
    const [ann, ben] = [await peer("after-a"), await peer("after-b")];
    const growth = server.memory() - before;
    assert.ok(growth < 64 << 20, `${growth} bytes`);
    const heir = await open(cleanUp,
      { path: () => "/peerjs?key=peerjs&id=slow&token=another&version=1.5.5", hello: [] });
    assert.match(await heir.heard.next("OPEN"), /OPEN/);
    ann.socket.send('{"type":"OFFER","dst":"after-b","payload":"hello"}');
    while (!/hello/.test(await ben.heard.next("hello"))) { /* OPEN came first */ }
  }, { skip });
