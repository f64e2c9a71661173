// npm's `peerjs` with what it asks of a browser before there is a connection to another peer.

import { createRequire } from "node:module";
import WebSocket from "ws";

globalThis.WebSocket = WebSocket;
globalThis.window = globalThis;
globalThis.location ??= { protocol: "http:", hostname: "127.0.0.1" };
globalThis.RTCPeerConnection = class {
  createDataChannel() {
    return { ordered: true, close() {} };
  }
  close() {}
};

export const { Peer } = createRequire(import.meta.url)("peerjs/dist/bundler.cjs");
