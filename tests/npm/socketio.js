// Every Socket.IO client that tutorials load, on every transport.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { Inbox, withPatience } from "./conversation.js";

const require = createRequire(import.meta.url);

export const kVersions = {
  "1.7.4": require("sioc1"),
  "2.0.3": require("sioc20"),
  "2.5.0": require("sioc25"),
  "3.1.3": require("sioc3"),
  "4.8.4": require("sioc4"),
};

const kTransports = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

// Each client with each way to travel.
export const kWays = Object.keys(kVersions).flatMap((version) =>
  Object.keys(kTransports).map((transport) => ({ version, transport })));

export const nameOf = ({ version, transport }) => `${version} by ${transport}`;

export class Client {
  // Connected, and on the WebSocket if that is where it goes.
  static async connect(server, way, options = {}) {
    const client = new Client(server, way, options);
    await client.connected();
    return client;
  }

  // Not yet connected: what is emitted now waits in the client. options.namespace is "/" plus name.
  constructor(server, { version, transport }, options = {}) {
    const { namespace = "", ...rest } = options;
    this.version = version;
    this.transport = transport;
    this.speaks4 = !(version.startsWith("3") || version.startsWith("4"));
    this.inbox = new Inbox(`${version} by ${transport}`);
    this.socket = kVersions[version](server.url + namespace, {
      transports: kTransports[transport],
      forceNew: true,
      reconnection: false,
      ...rest,
    });
    const original = this.socket.onevent;
    this.socket.onevent = (packet) => {
      this.inbox.put(packet.data);
      return original.call(this.socket, packet);
    };
    this.#settled = this.#settle();
    this.#settled.catch(() => {});
  }

  #settled;

  connected() {
    return withPatience(`the connection of ${this.inbox.owner}`, this.#settled);
  }

  get engine() {
    return this.socket.io.engine;
  }

  get id() {
    return this.socket.id;
  }

  emit(...event) {
    this.socket.emit(...event);
  }

  // The very next events are these. Clients of protocol 5 that a server would recover get one more
  // string with every event, the offset; older clients must get exactly the arguments.
  async expect(...events) {
    for (const event of events) {
      const heard = await this.inbox.next(JSON.stringify(event)?.slice(0, 120));
      assert.deepEqual(this.withoutOffset(heard, event.length), event,
        `heard by ${this.inbox.owner}`);
    }
  }

  withoutOffset(heard, length) {
    const offset = !this.speaks4 && heard.length === length + 1 &&
      typeof heard.at(-1) === "string";
    return offset ? heard.slice(0, -1) : heard;
  }

  // Resolves with what the client says when it has lost the server.
  disconnected() {
    return withPatience(`the end of ${this.inbox.owner}`,
      new Promise((resolve) => this.socket.once("disconnect", resolve)));
  }

  // As a lost network does it: the client's transport fails, without a word to the server.
  cutOff() {
    const { transport } = this.engine;
    if (transport.name === "websocket") {
      (transport.ws.terminate ?? transport.ws.close).call(transport.ws);
    } else {
      transport.onError("cut off");
    }
  }

  close() {
    this.socket.disconnect();
  }

  #settle() {
    const { socket } = this;
    const connected = new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      const fail = (reason) => reject(new Error(`${this.inbox.owner}: ${describe(reason)}`));
      socket.once("connect_error", fail);
      socket.once("error", fail);
    });
    if (this.transport !== "upgrade") return connected;
    // The engine exists at once, and cannot upgrade before it has been to the server.
    const upgraded = new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
    return Promise.all([connected, upgraded]);
  }
}

function describe(reason) {
  if (typeof reason === "string") return reason;
  return `${reason?.message ?? JSON.stringify(reason)} ${reason?.description ?? ""}`;
}

// Clients of a test, closed after it.
export async function join(cleanUp, server, ways, options) {
  const clients = ways.map((way) => new Client(server, way, options));
  cleanUp(() => clients.forEach((client) => client.close()));
  await Promise.all(clients.map((client) => client.connected()));
  return clients;
}
