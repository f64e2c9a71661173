// --room-jwt and --room-key: who gets in and who does not, in every protocol with its own client.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { createRequire } from "node:module";
import { after } from "node:test";
import WebSocket from "ws";

import { Inbox, conversation, withPatience } from "./conversation.js";
import { Peer } from "./peer.js";
import { badTokens, roomToken } from "./room_tokens.js";
import { isReference, startServer } from "./server.js";
import { Client, join, kWays, nameOf } from "./socketio.js";

const ScaleDrone = createRequire(import.meta.url)("scaledrone-node");

const kSecret = "the-secret-of-the-application-0123456789";
const kPassword = "open sesame";
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

const folder = await mkdtemp(joinPath(tmpdir(), "turnpike-tokens-"));
after(() => rm(folder, { recursive: true, force: true }));
const keyFile = joinPath(folder, "public.pem");
await writeFile(keyFile, publicKey.export({ type: "spki", format: "pem" }), { mode: 0o600 });
const startWithKeys = () => startServer(
  { "--room-jwt": kSecret, "--room-jwt-file": keyFile, "--room-key": kPassword });
// A source that has brought 60 wrong tokens has to wait: each way to speak gets a server of its own.
const serverOf = new Map(
  await Promise.all(kWays.map(async (way) => [way, await startWithKeys()])));
const server = await startWithKeys();
const droneServer = await startWithKeys();

const skip = isReference && "of the binary";
const kClaims = { room: ["blue", "blue-*", "observable-blue"], sub: "Ada" };
const kGood = {
  HS256: roomToken(kSecret, kClaims),
  ES256: roomToken(privateKey, kClaims),
  password: kPassword,
};
const kBad = badTokens(kSecret, kClaims);
const kForAll = roomToken(kSecret, { room: "*" });
const kForRed = roomToken(kSecret, { room: "red" });

let rooms = 0;
const freshRoom = () => `blue-${(rooms += 1)}`;

// --- Socket.IO ---

// Clients since 3.x have `auth`; with each version the address can carry it.
function carriers({ version }, token) {
  const inAddress = { query: { token } };
  return /^[34]/.test(version) ? [inAddress, { auth: { token } }] : [inAddress];
}

for (const way of kWays) {
  const server = serverOf.get(way);

  conversation(`tokens: ${nameOf(way)} gets in with a right one`, async ({ cleanUp }) => {
    for (const token of Object.values(kGood)) {
      for (const options of carriers(way, token)) {
        const [ann, ben] = await join(cleanUp, server, [way, way], options);
        const room = freshRoom();
        ann.emit("join", room);
        await ann.expect(["joined", room, ann.id]);
        ben.emit("join", room);
        await ben.expect(["joined", room, ben.id]);
        await ann.expect(["otherjoin", room]);
        ben.emit("message", room, "hello");
        await ann.expect(["message", room, "hello"]);
      }
    }
  }, { skip });

  conversation(`tokens: ${nameOf(way)} is refused with every wrong one`, async ({ cleanUp }) => {
    for (const [name, token] of Object.entries(kBad)) {
      for (const options of carriers(way, token)) {
        const client = new Client(server, way, options);
        cleanUp(() => client.close());
        await assert.rejects(client.connected(), /token/, name);
      }
    }
  }, { skip });

  conversation(`tokens: ${nameOf(way)} enters the rooms of its token only`,
    async ({ cleanUp }) => {
      const [ann] = await join(cleanUp, server, [way], { query: { token: kGood.HS256 } });
      const room = freshRoom();
      for (const [event, name, answer] of [["joinRoom", "red", /token/], ["join", "red", /token/],
        ["joinRoom", room, null], ["join", "blue", null]]) {
        const heard = await withPatience(`an answer to ${event} ${name}`,
          new Promise((resolve) => ann.emit(event, name, resolve)));
        if (answer) assert.match(heard, answer);
        else assert.equal(heard, null);
      }
      await ann.expect(["joined", "blue", ann.id]);
    }, { skip });
}

conversation("tokens: a lobby is a room, the bare one is for tokens of all rooms",
  async ({ cleanUp }) => {
    const way = { version: "2.0.3", transport: "upgrade" };
    const enter = async (token, room) =>
      (await join(cleanUp, server, [way], { query: room ? { token, room } : { token } }))[0];
    const all = await enter(kForAll);
    const password = await enter(kPassword);
    const outside = await enter(kGood.HS256);
    const blue = [await enter(kGood.HS256, "blue"), await enter(kForAll, "blue")];
    outside.emit("offer", "from outside");
    all.emit("offer", "to the lobby");
    await password.expect(["offer", "to the lobby"]);
    blue[0].emit("offer", "to the blue lobby");
    await blue[1].expect(["offer", "to the blue lobby"]);
    password.emit("answer", "marker");
    await all.expect(["answer", "marker"]);
    for (const client of [outside, password, blue[0]]) assert.equal(client.inbox.size, 0);
  }, { skip });

// --- the raw relay ---

function openRaw(cleanUp, path, { socketUrl } = server) {
  const socket = new WebSocket(socketUrl + path);
  cleanUp(() => socket.terminate());
  const heard = new Inbox(path);
  socket.on("message", (data) => heard.put(String(data)));
  return withPatience(path, new Promise((resolve) => {
    socket.once("open", () => resolve({ status: 101, socket, heard }));
    socket.once("unexpected-response", (_, { statusCode }) => resolve({ status: statusCode }));
    socket.once("error", () => {});
  }));
}

const withToken = (path, token) =>
  `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}`;

conversation("tokens: the raw relay opens for right ones only", async ({ cleanUp }) => {
  const inside = [];
  for (const [name, token] of Object.entries(kGood)) {
    const peer = await openRaw(cleanUp, withToken("/?room=blue", token));
    assert.equal(peer.status, 101, name);
    inside.push(peer);
  }
  inside[0].socket.send('"hello"');
  for (const peer of inside.slice(1)) await peer.heard.expect('"hello"');
  for (const [name, token] of Object.entries(kBad)) {
    for (const path of ["/?room=blue", "/blue", "/"]) {
      assert.equal((await openRaw(cleanUp, withToken(path, token))).status, 401, `${name} ${path}`);
    }
  }
  assert.equal((await openRaw(cleanUp, "/?room=blue")).status, 401);
  assert.equal((await openRaw(cleanUp, withToken("/?room=red", kGood.HS256))).status, 401);
  assert.equal((await openRaw(cleanUp, withToken("/", kGood.HS256))).status, 401);
  assert.equal((await openRaw(cleanUp, withToken("/", kForAll))).status, 101);
  assert.equal((await openRaw(cleanUp, withToken("/", kPassword))).status, 101);
  assert.equal((await openRaw(cleanUp, withToken("/red", kForRed))).status, 101);
}, { skip });

// --- ScaleDrone ---

async function openDrone(cleanUp, query = "") {
  const drone = new ScaleDrone("channel", { url: `${droneServer.socketUrl}/v3/websocket${query}` });
  cleanUp(() => {
    drone.autoReconnect = false;
    drone.close();
  });
  drone.on("error", () => {});
  drone.eventPromises.fullyConnected.catch(() => {}); // the client does not catch it
  await withPatience("open", new Promise((resolve) => drone.on("open", resolve)));
  return drone;
}

const authenticated = (drone, token) => withPatience("an answer", new Promise((resolve) => {
  drone.on("authenticate", (error) => resolve(error?.message ?? null));
  drone.authenticate(token);
}));

const subscribed = (drone, name) => withPatience(name, new Promise((resolve) => {
  drone.subscribe(name).on("open", (error) => resolve(error?.message ?? null));
}));

conversation("tokens: ScaleDrone's client authenticates with right ones", async ({ cleanUp }) => {
  for (const [name, token] of Object.entries(kGood)) {
    const drone = await openDrone(cleanUp);
    assert.equal(drone.requireAuth, true);
    assert.equal(await authenticated(drone, token), null, name);
    assert.equal(await subscribed(drone, "observable-blue"), null, name);
    if (token !== kPassword) assert.notEqual(await subscribed(drone, "observable-red"), null);
    const inAddress = await openDrone(cleanUp, `?token=${encodeURIComponent(token)}`);
    assert.ok(!inAddress.requireAuth);
    assert.equal(await subscribed(inAddress, "observable-blue"), null, name);
  }
}, { skip });

conversation("tokens: ScaleDrone's client is told what is wrong", async ({ cleanUp }) => {
  for (const [name, token] of Object.entries(kBad)) {
    if (!token) continue; // the client itself does not send it
    const drone = await openDrone(cleanUp);
    assert.ok(await authenticated(drone, token), name);
    // The client then believes that it may speak; the server knows better.
    const again = await openDrone(cleanUp, `?token=${encodeURIComponent(token)}`);
    assert.equal(again.requireAuth, true, name);
  }
  const { socket, heard } = await openRaw(cleanUp, "/v3/websocket", droneServer);
  socket.send('{"type":"handshake","channel":"c","version":2,"client_data":null,"callback":0}');
  await heard.next();
  socket.send('{"type":"subscribe","room":"blue","callback":1}');
  await heard.expect('{"callback":1,"error":"Unauthorized"}');
}, { skip });

conversation("tokens: ScaleDrone's members see whose token it is", async ({ cleanUp }) => {
  const ann = await openDrone(cleanUp);
  const members = new Promise((resolve) => {
    ann.subscribe("observable-blue").on("members", resolve);
  });
  ann.authenticate(kGood.HS256);
  const [member] = await withPatience("members", members);
  assert.deepEqual(member, { id: ann.clientId, authData: { user: "Ada" } });
}, { skip });

// --- PeerJS ---

function openPeer(cleanUp, id, token) {
  const peer = new Peer(id, { host: "127.0.0.1", port: server.port, path: "/", token });
  cleanUp(() => peer.destroy());
  return withPatience("PeerJS", new Promise((resolve) => {
    peer.once("open", () => resolve(null));
    peer.once("error", ({ type, message }) => resolve(`${type}: ${message}`));
  }));
}

conversation("tokens: PeerJS's client opens with one for its own id", async ({ cleanUp }) => {
  for (const [name, token] of Object.entries(kGood)) {
    assert.equal(await openPeer(cleanUp, freshRoom(), token), null, name);
  }
  assert.match(await openPeer(cleanUp, "red", kGood.HS256), /token/);
  for (const [name, token] of Object.entries(kBad)) {
    if (!token) continue; // the client makes one up
    assert.match(await openPeer(cleanUp, freshRoom(), token), /token/, name);
  }
  assert.match(await openPeer(cleanUp, freshRoom(), undefined), /token/);
}, { skip });

// --- y-webrtc ---

conversation("tokens: y-webrtc's topics are for right ones only", async ({ cleanUp }) => {
  const listen = async (token) => {
    const peer = await openRaw(cleanUp, withToken("/y-webrtc", token));
    if (peer.status !== 101) return peer;
    peer.socket.send('{"type":"subscribe","topics":["blue","red"]}');
    peer.socket.send('{"type":"ping"}');
    await peer.heard.expect('{"type":"pong"}');
    return peer;
  };
  const good = [];
  for (const token of [kGood.HS256, kGood.ES256]) good.push(await listen(token));
  const all = await listen(kPassword);
  for (const topic of ["blue", "red"]) {
    all.socket.send(JSON.stringify({ type: "publish", topic, data: topic }));
  }
  for (const { heard } of good) assert.match(await heard.next("blue"), /"data":"blue"/);
  for (const token of Object.values(kBad)) {
    const bad = await listen(token);
    if (bad.status !== 101) continue;
    bad.socket.send('{"type":"publish","topic":"blue","data":"from outside"}');
    bad.socket.send('{"type":"ping"}');
    await bad.heard.expect('{"type":"pong"}');
    assert.equal(bad.heard.size, 0);
  }
  all.socket.send('{"type":"publish","topic":"blue","data":"marker"}');
  for (const { heard } of good) assert.match(await heard.next("a marker"), /"data":"marker"/);
}, { skip });
