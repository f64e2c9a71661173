// The tutorials' servers in Node, all on one port, as small as they can be: what the tests of this
// folder say must be true of it before it can be demanded of the binary. REFERENCE=1 npm test

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Server } = require("socket.io");
const { WebSocketServer } = require("ws");

const kRoomOfTwo = 2;

export class Reference {
  static async start({ recovers }) {
    const reference = new Reference();
    const http = createServer((request, response) => {
      const path = new URL(request.url, "http://x").pathname;
      if (path !== "/peerjs/id") return void response.writeHead(404).end();
      response.writeHead(200, { "Access-Control-Allow-Origin": "*" }).end(randomUUID());
    });
    reference.http = http;
    reference.io = new Server(http, {
      allowEIO3: true,
      cors: { origin: true, credentials: true },
      // Node's server gives the offset of recovery to clients of protocol 4, too.
      ...(recovers && { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } }),
      destroyUpgrade: false,
    });
    tutorials(reference.io);
    const dialects = {
      "/v3/websocket": scaledrone(),
      "/peerjs": peerjs(),
      "/y-webrtc": yWebrtc(),
    };
    const raw = rawRelay();
    const sockets = new WebSocketServer({ noServer: true });
    http.on("upgrade", (request, socket, head) => {
      const url = new URL(request.url, "http://x");
      if (url.searchParams.has("EIO")) return;
      sockets.handleUpgrade(request, socket, head, (opened) => {
        opened.on("error", () => {});
        (dialects[url.pathname] ?? raw)(opened, url);
      });
    });
    await new Promise((done) => http.listen(0, "127.0.0.1", done));
    reference.port = http.address().port;
    return reference;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get socketUrl() {
    return `ws://127.0.0.1:${this.port}`;
  }

  async stop() {
    this.io.close();
    this.http.closeAllConnections();
  }
}

// 000: what one says, the others of the same path and room hear.
function rawRelay() {
  const rooms = new Map();
  return (socket, url) => {
    const name = url.searchParams.get("room") ?? "";
    if (!rooms.has(name)) rooms.set(name, new Set());
    const room = rooms.get(name);
    room.add(socket);
    socket.on("close", () => room.delete(socket));
    socket.on("message", (data, isBinary) => {
      if (isBinary || !isJson(data)) return;
      for (const other of room) if (other !== socket) other.send(String(data));
    });
  };
}

function isJson(data) {
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}

// 001, 002 and 003 on one set of handlers; event names tell them apart.
function tutorials(io) {
  io.on("connection", (socket) => {
    const key = (dialect, room) => `${dialect} ${String(room)}`;
    const inLobby = () => socket.rooms.has("lobby");
    socket.join("lobby");
    const relay = (event, answer, part) => socket.on(event, (payload) => {
      if (payload === null || typeof payload !== "object") return;
      socket.leave("lobby");
      socket.to(key("one", payload.room)).emit(answer, { [part]: payload[part] });
    });
    socket.on("joinRoom", (room) => {
      socket.leave("lobby");
      socket.join(key("one", room));
    });
    relay("sendOffer", "receiveOffer", "offer");
    relay("sendAnswer", "receiveAnswer", "answer");
    relay("sendCandidate", "receiveCandidate", "candidate");
    for (const event of ["offer", "answer", "onicecandidate"]) {
      socket.on(event, (argument) => {
        if (inLobby()) socket.to("lobby").emit(event, argument);
      });
    }
    roomsOfTwo(io, socket, (room) => key("two", room));
  });
}

function roomsOfTwo(io, socket, key) {
  const members = (room) => io.of("/").adapter.rooms.get(key(room)) ?? new Set();
  const inside = new Map();
  socket.on("message", (...args) => {
    if (args.length >= 2) {
      const [room, data] = args;
      if (members(room).has(socket.id)) socket.to(key(room)).emit("message", room, data);
    } else if (args[0] !== null && typeof args[0] === "object" && "channel" in args[0]) {
      socket.to(args[0].channel).emit("message", args[0].message);
    }
  });
  socket.on("join", (room) => {
    socket.leave("lobby");
    if (!members(room).has(socket.id) && members(room).size >= kRoomOfTwo) {
      socket.emit("full", room, socket.id);
      return;
    }
    socket.join(key(room));
    inside.set(key(room), room);
    socket.emit("joined", room, socket.id);
    if (members(room).size > 1) socket.to(key(room)).emit("otherjoin", room);
  });
  socket.on("leave", (room) => {
    if (members(room).has(socket.id)) socket.to(key(room)).emit("bye", room, socket.id);
    socket.emit("leaved", room, socket.id);
    socket.leave(key(room));
    inside.delete(key(room));
  });
  socket.on("disconnecting", () => {
    for (const [name, room] of inside) socket.to(name).emit("bye", room, socket.id);
  });
}

// 004: ScaleDrone's version 3, without authentication.
function scaledrone() {
  const rooms = new Map();
  return (socket) => {
    const id = randomUUID();
    const say = (object, to = socket) => to.send(JSON.stringify(object));
    let channel = "";
    const leave = (name) => {
      const room = rooms.get(name);
      if (!room?.members.delete(socket)) return;
      if (!name.includes(" observable-")) return;
      for (const other of room.members.keys()) {
        say({ type: "observable_member_leave", room: name.split(" ")[1], data: { id } }, other);
      }
    };
    const subscribe = ({ room: name, history_count: wanted = 0, callback }) => {
      const key = `${channel} ${name}`;
      if (!rooms.has(key)) rooms.set(key, { members: new Map(), history: [] });
      const room = rooms.get(key);
      say({ callback });
      if (name.startsWith("observable-")) {
        for (const other of room.members.keys()) {
          say({ type: "observable_member_join", room: name, data: { id } }, other);
        }
        room.members.set(socket, id);
        const data = [...room.members.values()].map((member) => ({ id: member }));
        say({ type: "observable_members", room: name, data });
      }
      room.members.set(socket, id);
      const late = room.history.slice(room.history.length - Math.min(wanted ?? 0, 100));
      late.reverse().forEach((entry, index) =>
        say({ ...entry, type: "history_message", index }));
    };
    const publish = ({ room: name, message }) => {
      const room = rooms.get(`${channel} ${name}`);
      if (!room) return;
      const entry = { type: "publish", room: name, message, client_id: id, id: randomUUID(),
        timestamp: Math.floor(Date.now() / 1000) };
      room.history.push(entry);
      for (const other of room.members.keys()) say(entry, other);
    };
    socket.on("close", () => [...rooms.keys()].forEach(leave));
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      if (message.type === "handshake") {
        channel = message.channel;
        say({ callback: message.callback, client_id: id });
      }
      if (message.type === "subscribe") subscribe(message);
      if (message.type === "publish") publish(message);
      if (message.type === "unsubscribe") leave(`${channel} ${message.room}`);
    });
  };
}

// PeerJS: messages are addressed; what is for nobody waits a while, then EXPIRE comes back.
function peerjs() {
  const peers = new Map();
  const waiting = [];
  const say = (socket, object) => socket.send(JSON.stringify(object));
  return (socket, url) => {
    const id = url.searchParams.get("id");
    if (peers.has(id)) {
      say(socket, { type: "ID-TAKEN", payload: { msg: "ID is taken" } });
      socket.close();
      return;
    }
    peers.set(id, socket);
    say(socket, { type: "OPEN" });
    for (const entry of waiting.filter(({ message }) => message.dst === id)) {
      clearTimeout(entry.timer);
      waiting.splice(waiting.indexOf(entry), 1);
      say(socket, entry.message);
    }
    socket.on("close", () => peers.delete(id));
    socket.on("message", (data) => {
      const message = { ...JSON.parse(data), src: id };
      if (message.type === "HEARTBEAT") return;
      if (peers.has(message.dst)) {
        say(peers.get(message.dst), message);
      } else if (message.type !== "LEAVE" && message.type !== "EXPIRE") {
        const entry = { message };
        entry.timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(entry), 1);
          if (peers.has(id)) say(socket, { type: "EXPIRE", src: message.dst, dst: id });
        }, 5000);
        waiting.push(entry);
      }
    });
  };
}

function yWebrtc() {
  const topics = new Map();
  const members = (name) => {
    if (!topics.has(name)) topics.set(name, new Set());
    return topics.get(name);
  };
  return (socket) => {
    socket.on("close", () => topics.forEach((all) => all.delete(socket)));
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      if (message.type === "subscribe") {
        for (const name of message.topics) members(name).add(socket);
      } else if (message.type === "unsubscribe") {
        for (const name of message.topics) members(name).delete(socket);
      } else if (message.type === "publish") {
        const all = members(message.topic);
        const text = JSON.stringify({ ...message, clients: all.size });
        for (const other of all) other.send(text);
      } else if (message.type === "ping") {
        socket.send(JSON.stringify({ type: "pong" }));
      }
    });
  };
}
