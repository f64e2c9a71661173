// Where people meet: on whatever port they come in, a room is one room; a lobby has its places.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { after } from "node:test";
import WebSocket from "ws";

import { conversation, Inbox, withPatience } from "./conversation.js";
import { freePort, isReference, startServer } from "./server.js";
import { Client, join } from "./socketio.js";

const skip = isReference && "of the binary";
const kWay = { version: "4.8.4", transport: "upgrade" };

async function manyPorts() {
  const folder = await mkdtemp(joinPath(tmpdir(), "turnpike-ports-"));
  after(() => rm(folder, { recursive: true, force: true }));
  const [cert, key] = [joinPath(folder, "cert.pem"), joinPath(folder, "key.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt",
    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
  { stdio: "ignore" });
  const [tls, ...http] = [await freePort(), await freePort(), await freePort()];
  const server = await startServer({ "--cert": cert, "--pkey": key, "--tls-listening-port": tls,
    "--http-port": http, "--workers": 2 });
  return [`http://127.0.0.1:${server.port}`, ...http.map((port) => `http://127.0.0.1:${port}`),
    `https://127.0.0.1:${tls}`, `https://127.0.0.1:${server.port}`];
}
const addresses = isReference ? [] : await manyPorts();

function openRaw(cleanUp, address) {
  const socket = new WebSocket(address.replace("http", "ws"), { rejectUnauthorized: false });
  cleanUp(() => socket.terminate());
  const peer = { socket, heard: new Inbox(address) };
  socket.on("message", (data) => peer.heard.put(String(data)));
  return withPatience(address, new Promise((resolve) => {
    socket.once("open", () => resolve({ ...peer, status: 101 }));
    socket.once("unexpected-response", (_, { statusCode }) => resolve({ status: statusCode }));
    socket.once("error", () => {});
  }));
}

conversation("places: Socket.IO's rooms are the same on every port, with and without TLS",
  async ({ cleanUp }) => {
    for (const version of ["2.0.3", "4.8.4"]) {
      for (const transport of ["polling", "websocket", "upgrade"]) {
        const clients = addresses.map((url) =>
          new Client({ url }, { version, transport }, { rejectUnauthorized: false }));
        cleanUp(() => clients.forEach((client) => client.close()));
        await Promise.all(clients.map((client) => client.connected()));
        const room = `${version} ${transport}`;
        for (const client of clients) {
          client.emit("joinRoom", room);
          client.emit("leave", "a marker");
          await client.expect(["leaved", "a marker", client.id]);
        }
        for (const [index, client] of clients.entries()) {
          client.emit("sendOffer", { offer: index, room });
          for (const other of clients) {
            if (other !== client) await other.expect(["receiveOffer", { offer: index }]);
          }
        }
      }
    }
  }, { skip });

conversation("places: the raw relay's rooms are the same on every port", async ({ cleanUp }) => {
  const peers = [];
  for (const address of addresses) peers.push(await openRaw(cleanUp, `${address}/?room=ports`));
  for (const [index, { socket }] of peers.entries()) {
    socket.send(`"from ${index}"`);
    for (const [other, { heard }] of peers.entries()) {
      if (other !== index) await heard.expect(`"from ${index}"`);
    }
  }
}, { skip });

conversation("places: a lobby has 32 of them, and those who are in it go on", async ({ cleanUp }) => {
  const server = await startServer();
  const raw = [];
  for (let count = 0; count < 32; count += 1) {
    raw.push(await openRaw(cleanUp, `${server.url}/`));
    assert.equal(raw.at(-1).status, 101);
  }
  assert.equal((await openRaw(cleanUp, `${server.url}/`)).status, 503);
  assert.equal((await openRaw(cleanUp, `${server.url}/?room=another`)).status, 101);
  raw[0].socket.send("1");
  for (const { heard } of raw.slice(1)) await heard.expect("1");

  const way = { version: "2.5.0", transport: "websocket" };
  const inside = await join(cleanUp, server, Array(32).fill(way));
  const [late] = await join(cleanUp, server, [kWay]);
  late.emit("offer", "nobody hears it");
  inside[0].emit("offer", "all but one hear it");
  for (const client of inside.slice(1)) await client.expect(["offer", "all but one hear it"]);
  late.emit("leave", "a marker");
  await late.expect(["leaved", "a marker", late.id]);
  // A free place is taken by who speaks next.
  inside.pop().close();
  const heard = inside[0].inbox.next();
  const again = setInterval(() => late.emit("answer", "inside now"), 50);
  cleanUp(() => clearInterval(again));
  assert.deepEqual(await withPatience("an answer", heard), ["answer", "inside now"]);
}, { skip });

conversation("places: --lobby-size says how many", async ({ cleanUp }) => {
  const server = await startServer({ "--lobby-size": 2 });
  for (const status of [101, 101, 503]) {
    assert.equal((await openRaw(cleanUp, `${server.url}/`)).status, status);
  }
  const [ann, ben, cai] = [
    ...(await join(cleanUp, server, [kWay, kWay])), ...(await join(cleanUp, server, [kWay]))];
  ann.emit("offer", "for two");
  await ben.expect(["offer", "for two"]);
  assert.equal(cai.inbox.size, 0);
}, { skip });
