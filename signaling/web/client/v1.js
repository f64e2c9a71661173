// The client of Turnpike's rooms: one ES module without dependencies (docs/client.md, v1.d.ts).
//
//   const room = await join("demo", { name: "Ann", stream });
//   room.on("peer", (peer) => peer.on("track", ({ stream }) => show(peer, stream)));
//   room.on("message", ({ peer, data }) => console.log(peer.name, data));
//   room.send({ hello: "all" });
//
// Inside: the native protocol (docs/signaling.md) over one WebSocket that comes back by itself, one
// RTCPeerConnection for each other member, kept agreed by "perfect negotiation", and files that go
// on where they stopped. Where there is no RTCPeerConnection (Node, workers) all that goes through
// the server works: members, messages, credentials.

const kFirstDelay = 500;
const kLongestDelay = 10_000;
const kPingEvery = 15_000;
const kAnswerWithin = 10_000;
// Where there is reason to doubt, an answer is waited for no longer than this.
const kDoubtedWithin = 2_500;
const kLongestOutbox = 500;
const kOfferGrace = 2_000;
// Longer than a doubted connection to the server takes to be given up: offers are not to be lost.
const kDisconnectedFor = 3_000;
const kRestartDelays = [0, 2_000, 4_000, 8_000, 15_000];
const kLongestDirectOutbox = 100;
const kMostCandidates = 500;
const kControlLabel = "turnpike";
const kFileLabel = "turnpike-file";
// What every browser takes in one message.
const kChunk = 16 * 1024;
const kRead = 16 * kChunk;
const kFullBuffer = 1024 * 1024;
const kLowBuffer = 256 * 1024;
const kMostOffers = 64;
const kLongestFileName = 255;
// What comes in is held by the browser until the application lets go of it: Chromium moves large
// Blobs to its disk, Firefox keeps them in memory.
const kLargestFile = 2 ** 30;
const kBlob = 8 * 1024 * 1024;

// Why the server closes a WebSocket.
export const CloseCode = Object.freeze({
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  invalidData: 1007,
  abuse: 1008,
  tooLarge: 1009,
  resumedElsewhere: 4001,
  left: 4002,
  removed: 4003,
});

// After these the same session may not come back.
const kFinalCodes = new Set([
  CloseCode.resumedElsewhere, CloseCode.left, CloseCode.removed, CloseCode.abuse,
]);

// Why a room was not entered: `code` is one of docs/signaling.md's error codes.
export class JoinError extends Error {
  constructor(code, message) {
    super(message || code);
    this.name = "JoinError";
    this.code = code;
  }
}

// --- events

// CustomEvent is not everywhere that EventTarget is.
class Told extends Event {
  constructor(type, detail) {
    super(type);
    this.detail = detail;
  }
}

const tell = (target, type, detail) => target.dispatchEvent(new Told(type, detail));

// An EventTarget with shorter words: the listener is given the detail, and `on` answers the
// function that ends it.
class Emitter extends EventTarget {
  on(type, listener) {
    const listen = (event) => listener(event.detail);
    this.addEventListener(type, listen);
    return () => this.removeEventListener(type, listen);
  }

  once(type, listener) {
    const end = this.on(type, (detail) => {
      end();
      listener(detail);
    });
    return end;
  }
}

// --- the WebSocket

// One session in one room, on as many WebSockets as it takes.
class Signaling extends Emitter {
  #url;
  #makeSocket;
  #join;
  #socket = null;
  #session = "";
  #received = 0;
  #inside = false;
  #outbox = [];
  #attempts = 0;
  #retryTimer = 0;
  #pingTimer = 0;
  #answerTimer = 0;
  #over = false;

  constructor(url, makeSocket, request) {
    super();
    this.#url = url;
    this.#makeSocket = makeSocket;
    this.#join = { type: "join", id: "join", ...request };
  }

  connect() {
    if (this.#over || this.#socket) return;
    clearTimeout(this.#retryTimer);
    tell(this, "connection", { state: "connecting", delay: 0 });
    const socket = this.#makeSocket(this.#url);
    this.#socket = socket;
    this.#expectAnswer();
    const ours = (take) => (event) => socket === this.#socket && take(event);
    socket.addEventListener("open", ours(() => this.#onOpen()));
    socket.addEventListener("message", ours((event) => this.#onText(event.data)));
    socket.addEventListener("close", ours((event) => this.#onClose(event.code)));
    // The close that follows says it all; without a listener Node's sockets would throw.
    socket.addEventListener("error", () => {});
  }

  // The network may have changed: a dead connection says nothing for long, so it is asked.
  doubt() {
    if (this.#socket === null) this.connect();
    else if (this.#socket.readyState === 1) this.#ask(kDoubtedWithin);
  }

  // To one member, or to everybody else when `to` is undefined. Kept while the connection is lost.
  send(to, data) {
    const message = { type: "send", data };
    if (to !== undefined) message.to = to;
    if (this.#inside) this.#write(message);
    else if (this.#session && this.#outbox.length < kLongestOutbox) this.#outbox.push(message);
  }

  askForIceServers() {
    if (this.#inside) this.#write({ type: "ice" });
  }

  // For good: the server frees this member's relay allocations.
  leave() {
    if (this.#over) return;
    if (this.#socket?.readyState === 1) this.#write({ type: "leave" });
    this.#finish();
  }

  #onOpen() {
    if (!this.#session) return this.#write(this.#join);
    const [session, received] = [this.#session, this.#received];
    this.#write({ type: "resume", id: "resume", session, received });
  }

  #onText(text) {
    this.#heard();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    // A resumed session sends again what may have been lost; what we have seen is not told twice.
    if (typeof message.seq === "number" && message.type !== "joined") {
      if (message.seq <= this.#received) return;
      this.#received = message.seq;
    }
    this.#take(message);
  }

  #take(message) {
    if (message.type === "error") return this.#onError(message);
    if (message.type === "pong") return;
    if (message.type === "joined") {
      this.#session = message.session;
      this.#received = message.seq ?? 0;
      this.#outbox = [];
    }
    const enters = message.type === "joined" || message.type === "resumed";
    if (enters) this.#entered();
    tell(this, message.type, message);
  }

  #entered() {
    this.#inside = true;
    this.#attempts = 0;
    for (const message of this.#outbox.splice(0)) this.#write(message);
  }

  #onError({ id, code, message }) {
    if (id === "resume") {
      // Too late: everybody saw us leave. Enter again as somebody new.
      this.#session = "";
      this.#outbox = [];
      this.#write(this.#join);
    } else if (id === "join" && code === "draining") {
      // This server stops soon; behind its name there may be another one then.
      const socket = this.#socket;
      this.#onClose(1013);
      socket.close();
    } else if (id === "join") {
      this.#finish();
      tell(this, "refused", { code, message });
    } else {
      tell(this, "warning", { code, message });
    }
  }

  #onClose(code) {
    this.#drop();
    if (this.#over) return;
    if (kFinalCodes.has(code)) {
      this.#finish();
      tell(this, "ended", { code });
    } else {
      this.#retryLater();
    }
  }

  // Exponential, with jitter: a server that restarts must not meet all its clients in one instant.
  #retryLater() {
    const ceiling = Math.min(kLongestDelay, kFirstDelay * 2 ** this.#attempts);
    const delay = ceiling * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => this.connect(), delay);
    tell(this, "connection", { state: "waiting", delay });
  }

  #write(message) {
    this.#socket.send(JSON.stringify(message));
  }

  // A dead network gives no close event for minutes, so silence is asked about and then believed.
  #heard() {
    clearTimeout(this.#answerTimer);
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.#ask(kAnswerWithin), kPingEvery);
  }

  #ask(patience) {
    if (this.#socket?.readyState === 1) this.#write({ type: "ping" });
    this.#expectAnswer(patience);
  }

  #expectAnswer(patience = kAnswerWithin) {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = setTimeout(() => {
      const socket = this.#socket;
      this.#onClose(1006);
      socket.close();
    }, patience);
  }

  #drop() {
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#answerTimer);
    this.#inside = false;
    this.#socket = null;
  }

  #finish() {
    this.#over = true;
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#drop();
    socket?.close();
  }
}

// --- negotiation

// Both sides may offer at any time; the server says who is polite and gives way. Offers wait until
// the other side can be expected to take them: who was here first offers, the newcomer only after a
// moment, or every call would begin with both offering at once.
class Negotiation {
  #connection;
  #polite;
  #send;
  #warn;
  #makingOffer = false;
  #ignoringOffer = false;
  #mayOffer;
  #timer = 0;
  #candidates = [];
  #signals = Promise.resolve();

  constructor(connection, { polite, send, warn }) {
    this.#connection = connection;
    this.#polite = polite;
    this.#send = send;
    this.#warn = warn;
    this.#mayOffer = !polite;
    if (polite) this.#timer = setTimeout(() => this.#offerAnyway(), kOfferGrace);
    connection.addEventListener("negotiationneeded", () => this.#offer());
    connection.addEventListener("icecandidate", ({ candidate }) => candidate && send({ candidate }));
  }

  // A signal from the other side. They are worked on one after the other, in their order.
  accept(signal) {
    this.#signals = this.#signals
      .then(() => this.#apply(signal))
      .catch((error) => this.#complain(error));
  }

  // Signals of before may be lost. An offer without an answer would keep both sides waiting for ever.
  repeat() {
    if (this.#connection.signalingState !== "have-local-offer") return;
    this.#send({ description: this.#connection.localDescription });
  }

  close() {
    clearTimeout(this.#timer);
  }

  get #closed() {
    return this.#connection.signalingState === "closed";
  }

  #complain(error) {
    if (!this.#closed) this.#warn({ code: "negotiation", message: error.message });
  }

  #offerAnyway() {
    this.#mayOffer = true;
    if (!this.#connection.remoteDescription) this.#offer();
  }

  async #offer() {
    if (!this.#mayOffer) return;
    try {
      this.#makingOffer = true;
      await this.#connection.setLocalDescription();
      this.#send({ description: this.#connection.localDescription });
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  async #apply({ description, candidate }) {
    if (this.#closed) return;
    if (description) await this.#applyDescription(description);
    else if (candidate) await this.#applyCandidate(candidate);
  }

  async #applyDescription(description) {
    const connection = this.#connection;
    // The answer to an offer that was sent again, and had come the first time.
    if (description.type === "answer" && connection.signalingState === "stable") return;
    const collides = description.type === "offer" &&
      (this.#makingOffer || connection.signalingState !== "stable");
    this.#ignoringOffer = collides && !this.#polite;
    if (this.#ignoringOffer) return;
    await connection.setRemoteDescription(description);
    this.#mayOffer = true;
    for (const waiting of this.#candidates.splice(0)) await connection.addIceCandidate(waiting);
    if (description.type !== "offer") return;
    await connection.setLocalDescription();
    this.#send({ description: connection.localDescription });
  }

  async #applyCandidate(candidate) {
    if (!this.#connection.remoteDescription) {
      if (this.#candidates.length < kMostCandidates) this.#candidates.push(candidate);
      return;
    }
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (error) {
      // Candidates of an offer that we ignored belong to nothing.
      if (!this.#ignoringOffer) throw error;
    }
  }
}

// --- another member

// Events: "track" {track, stream}, "state", "message" {peer, data, direct}, "channel" (one that the
// other side opened), "file" (a Transfer), "change" (name or presence), "gone".
export class Peer extends Emitter {
  #room;
  #connection = null;
  #negotiation = null;
  #control = null;
  #outbox = [];
  #restarts = 0;
  #restartTimer = 0;
  #tracks = [];

  constructor(room, { id, name, polite, away }) {
    super();
    this.id = id;
    this.name = name ?? "";
    this.polite = Boolean(polite);
    this.away = Boolean(away);
    this.stream = null;
    this.#room = room;
    if (room.makesConnections) this.#connect();
  }

  get room() {
    return this.#room;
  }

  // null where there is no WebRTC.
  get connection() {
    return this.#connection;
  }

  get state() {
    return this.#connection?.connectionState ?? "none";
  }

  // The other side's certificate, which DTLS has proven: the same member after a reconnection has
  // it again. Empty before an answer.
  get fingerprint() {
    const sdp = this.#connection?.remoteDescription?.sdp ?? "";
    return /^a=fingerprint:(\S+ \S+)/m.exec(sdp)?.[1].toLowerCase() ?? "";
  }

  // Tracks that are here already are told, too.
  on(type, listener) {
    const end = super.on(type, listener);
    if (type === "track") for (const one of [...this.#tracks]) listener(one);
    return end;
  }

  // Through the server, to this member alone.
  send(data) {
    this.#room.signal(this.id, { app: data });
  }

  // Directly, encrypted from end to end: now, or as soon as there is a connection.
  sendDirect(data) {
    this.tell({ app: data });
  }

  // A data channel of your own.
  channel(label, options) {
    return this.#connection.createDataChannel(label, options);
  }

  // Offers a file (a Blob): answers a Transfer, which runs when the other side has accepted it.
  // `about` is any JSON for the application of the other side.
  sendFile(blob, { name = blob.name ?? "", about = null } = {}) {
    return this.#room.files.offer(this, blob, { name, about });
  }

  restart() {
    clearTimeout(this.#restartTimer);
    if (this.#connection?.remoteDescription) this.#connection.restartIce();
  }

  // What a person wants to know of the connection; null before it stands.
  async getStats() {
    if (this.state !== "connected") return null;
    return summary(await this.#connection.getStats());
  }

  // --- for Room and Files only

  // This member's or our own connection to the server was lost and stands again.
  repeatOffer() {
    this.#negotiation?.repeat();
  }

  tell(message) {
    const text = JSON.stringify(message);
    if (this.#control?.readyState === "open") this.#control.send(text);
    else if (this.#outbox.length < kLongestDirectOutbox) this.#outbox.push(text);
  }

  accept(data) {
    const signal = data !== null && typeof data === "object" && (data.description || data.candidate);
    if (signal) return this.#negotiation?.accept(data);
    this.#onMessage(data !== null && typeof data === "object" && "app" in data ? data.app : data,
      false);
  }

  // Shows these tracks and no others, with as little negotiation as possible.
  show(stream) {
    if (!this.#connection) return;
    const waiting = new Set(stream?.getTracks() ?? []);
    const idle = [];
    for (const sender of this.#connection.getSenders()) {
      if (!sender.track) continue;
      if (!waiting.delete(sender.track)) idle.push(sender);
    }
    for (const sender of idle) {
      const next = [...waiting].find(({ kind }) => kind === sender.track.kind);
      if (next) {
        waiting.delete(next);
        sender.replaceTrack(next).catch(() => {});
      } else {
        this.#connection.removeTrack(sender);
      }
    }
    for (const track of waiting) this.#connection.addTrack(track, stream);
  }

  configure(configuration) {
    this.#connection?.setConfiguration?.(configuration);
  }

  change(changes) {
    Object.assign(this, changes);
    tell(this, "change");
  }

  close() {
    clearTimeout(this.#restartTimer);
    this.#negotiation?.close();
    this.#connection?.close();
    tell(this, "gone");
  }

  // ---

  #connect() {
    const connection = this.#room.makeConnection();
    this.#connection = connection;
    this.stream = new MediaStream();
    this.#negotiation = new Negotiation(connection, {
      polite: this.polite,
      send: (signal) => this.#room.signal(this.id, signal),
      warn: (warning) => tell(this.#room, "warning", { peer: this, ...warning }),
    });
    connection.addEventListener("track", ({ track, streams }) => this.#onTrack(track, streams[0]));
    connection.addEventListener("datachannel", ({ channel }) => this.#onChannel(channel));
    connection.addEventListener("connectionstatechange", () => this.#onState());
    // Same id on both sides: the channel needs no announcement and no side that opens it.
    this.#control = connection.createDataChannel(kControlLabel, { negotiated: true, id: 0 });
    this.#control.addEventListener("open", () => {
      for (const text of this.#outbox.splice(0)) this.#control.send(text);
    });
    this.#control.addEventListener("message", ({ data }) => this.#onControl(data));
    this.show(this.#room.stream);
  }

  #onTrack(track, origin) {
    const stream = this.stream;
    stream.addTrack(track);
    const one = { peer: this, track, stream };
    this.#tracks.push(one);
    origin?.addEventListener("removetrack", (event) => {
      if (event.track !== track) return;
      stream.removeTrack(track);
      this.#tracks.splice(this.#tracks.indexOf(one), 1);
      tell(this, "change");
    });
    tell(this, "track", one);
  }

  #onChannel(channel) {
    if (channel.label === kFileLabel) this.#room.files.onChannel(this, channel);
    else tell(this, "channel", channel);
  }

  #onControl(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message === null || typeof message !== "object") return;
    if ("app" in message) this.#onMessage(message.app, true);
    else if (message.file) this.#room.files.onMessage(this, message.file);
  }

  #onMessage(data, direct) {
    const detail = { peer: this, data, direct };
    tell(this, "message", detail);
    tell(this.#room, "message", detail);
  }

  #onState() {
    clearTimeout(this.#restartTimer);
    if (this.state === "connected") {
      this.#restarts = 0;
      this.#room.files.onConnected(this);
    } else if (this.state === "disconnected") {
      this.#room.doubt();
      this.#restartTimer = setTimeout(() => this.restart(), kDisconnectedFor);
    } else if (this.state === "failed") {
      this.#room.askForIceServers();
      const delay = kRestartDelays[Math.min(this.#restarts, kRestartDelays.length - 1)];
      this.#restarts += 1;
      this.#restartTimer = setTimeout(() => this.restart(), delay);
    }
    tell(this, "state", this.state);
  }
}

// --- files

const kEnds = new Set(["done", "declined", "cancelled", "too-large"]);

// One file on its way. `state`: "offered", "running", "paused" (the connection is lost, it goes on by
// itself), "done", "declined", "cancelled", "too-large" (for the receiver). Events: "change" (state or bytes).
export class Transfer extends Emitter {
  #files;

  constructor(files, facts) {
    super();
    this.#files = files;
    // id, peer, fingerprint, direction, name, size, mime, about, blob (outgoing: at once; incoming:
    // when it is done)
    Object.assign(this, { state: "offered", bytes: 0, blob: null }, facts);
    this.done = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.done.catch(() => {});
  }

  get over() {
    return kEnds.has(this.state);
  }

  accept() {
    this.#files.accept(this);
  }

  decline() {
    this.#files.stop(this, "declined", true);
  }

  cancel() {
    this.#files.stop(this, "cancelled", true);
  }
}

// All transfers of a room. Offers, answers and ends are told on the control channel; the bytes of
// each run have a data channel of their own, opened by the sender, whose protocol is the id.
class Files {
  #room;
  #largest;
  #transfers = new Map();

  constructor(room, largest) {
    this.#room = room;
    this.#largest = largest;
  }

  offer(peer, blob, { name, about }) {
    const transfer = new Transfer(this, {
      id: crypto.randomUUID?.() ?? randomId(), peer, fingerprint: peer.fingerprint,
      direction: "out", name: cleanFileName(name), size: blob.size, mime: blob.type, about, blob,
    });
    this.#transfers.set(transfer.id, transfer);
    this.#tellOffer(transfer);
    return transfer;
  }

  accept(transfer) {
    if (transfer.direction !== "in" || transfer.state !== "offered") return;
    // Blobs of kBlob bytes each, and the chunks since.
    transfer.parts = [];
    transfer.chunks = [];
    this.#change(transfer, "running");
    this.#ask(transfer);
  }

  stop(transfer, state, ours) {
    if (transfer.over) return;
    if (ours) transfer.peer.tell({ file: { stop: transfer.id, state } });
    this.#end(transfer, state);
  }

  // From the other side, on the control channel.
  onMessage(peer, message) {
    if (message.offer) return this.#onOffer(peer, message.offer);
    const id = message.accept ?? message.stop ?? message.done;
    const transfer = this.#transfers.get(id);
    if (!transfer || transfer.over || !this.#isWith(transfer, peer)) return;
    if (message.accept) this.#run(transfer, message.from);
    else if (message.stop) {
      this.stop(transfer, ["declined", "too-large"].includes(message.state) ? message.state : "cancelled");
    }
    else if (transfer.direction === "out") this.#finish(transfer);
  }

  onChannel(peer, channel) {
    const transfer = this.#transfers.get(channel.protocol);
    const expected = transfer?.direction === "in" && !transfer.over && transfer.parts &&
      this.#isWith(transfer, peer);
    if (!expected) return channel.close();
    const old = transfer.channel;
    transfer.channel = channel;
    // Asked twice from the same place, as when both a new connection and its offer say so, the sender
    // begins twice: what the first channel has brought comes again.
    transfer.known = transfer.bytes - transfer.from;
    old?.close();
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      if (transfer.channel === channel) this.#onChunk(transfer, data);
    });
    channel.addEventListener("close", () => {
      if (transfer.channel === channel) this.#pause(transfer);
    });
  }

  // A connection stands (again): what was interrupted goes on.
  onConnected(peer) {
    for (const transfer of this.#transfers.values()) {
      if (transfer.over || !this.#isWith(transfer, peer)) continue;
      const returned = transfer.peer !== peer;
      transfer.peer = peer;
      transfer.fingerprint ||= peer.fingerprint;
      if (transfer.direction === "out") {
        if (returned) this.#tellOffer(transfer);
      } else if (transfer.state === "paused") {
        this.#change(transfer, "running");
        this.#ask(transfer);
      }
    }
  }

  onGone(peer) {
    for (const transfer of this.#transfers.values()) {
      if (transfer.peer === peer && transfer.state === "running") this.#pause(transfer);
    }
  }

  // Nobody comes back any more.
  close() {
    for (const transfer of this.#transfers.values()) {
      if (!transfer.over) this.#end(transfer, "cancelled");
    }
  }

  // The same member, or the same page as a new member: its certificate says so.
  #isWith(transfer, peer) {
    if (transfer.peer === peer) return true;
    return transfer.fingerprint !== "" && transfer.fingerprint === peer.fingerprint;
  }

  #tellOffer({ peer, id, name, size, mime, about }) {
    peer.tell({ file: { offer: { id, name, size, mime, about } } });
  }

  #ask(transfer) {
    transfer.channel = null;
    transfer.from = transfer.bytes;
    if (transfer.bytes === transfer.size) return this.#complete(transfer);
    transfer.peer.tell({ file: { accept: transfer.id, from: transfer.from } });
  }

  #onOffer(peer, { id, name, size, mime, about = null }) {
    const sound = typeof id === "string" && id.length <= 64 && Number.isSafeInteger(size) && size >= 0;
    if (!sound) return;
    const known = this.#transfers.get(id);
    if (known) {
      if (known.direction !== "in" || !this.#isWith(known, peer)) return;
      if (known.over) {
        peer.tell({ file: known.state === "done" ? { done: id } : { stop: id, state: known.state } });
        return;
      }
      known.peer = peer;
      if (known.parts) {
        this.#change(known, "running");
        this.#ask(known);
      }
      return;
    }
    const open = [...this.#transfers.values()].filter(({ over, direction }) =>
      direction === "in" && !over);
    if (open.length >= kMostOffers) return peer.tell({ file: { stop: id, state: "declined" } });
    const transfer = new Transfer(this, {
      id, peer, fingerprint: peer.fingerprint, direction: "in", size, about,
      name: cleanFileName(name), mime: typeof mime === "string" ? mime.slice(0, 100) : "",
    });
    this.#transfers.set(id, transfer);
    if (size > this.#largest) this.stop(transfer, "too-large", true);
    tell(peer, "file", transfer);
    tell(this.#room, "file", transfer);
  }

  #onChunk(transfer, data) {
    if (!(data instanceof ArrayBuffer)) return this.stop(transfer, "cancelled", true);
    const known = Math.min(transfer.known, data.byteLength);
    transfer.known -= known;
    const chunk = known > 0 ? data.slice(known) : data;
    if (chunk.byteLength === 0) return;
    if (transfer.bytes + chunk.byteLength > transfer.size) {
      return this.stop(transfer, "cancelled", true);
    }
    transfer.chunks.push(chunk);
    transfer.bytes += chunk.byteLength;
    if (transfer.chunks.length * kChunk >= kBlob) transfer.parts.push(new Blob(transfer.chunks.splice(0)));
    if (transfer.bytes === transfer.size) this.#complete(transfer);
    else this.#change(transfer, "running");
  }

  #complete(transfer) {
    transfer.blob = new Blob([...transfer.parts, ...transfer.chunks], { type: transfer.mime });
    transfer.peer.tell({ file: { done: transfer.id } });
    this.#finish(transfer);
  }

  #finish(transfer) {
    transfer.bytes = transfer.size;
    this.#end(transfer, "done");
  }

  async #run(transfer, from) {
    const sound = transfer.direction === "out" && Number.isSafeInteger(from) && from >= 0 &&
      from <= transfer.size;
    if (!sound) return;
    const old = transfer.channel;
    const channel = transfer.peer.channel(kFileLabel, { protocol: transfer.id });
    transfer.channel = channel;
    old?.close();
    channel.bufferedAmountLowThreshold = kLowBuffer;
    transfer.bytes = from;
    const current = () => transfer.channel === channel && !transfer.over;
    channel.addEventListener("close", () => current() && this.#pause(transfer));
    try {
      await eventOf(channel, "open");
      while (current() && transfer.bytes < transfer.size) {
        const end = Math.min(transfer.size, transfer.bytes + kRead);
        const block = await transfer.blob.slice(transfer.bytes, end).arrayBuffer();
        await this.#sendBlock(transfer, channel, block, current);
      }
    } catch (error) {
      if (error.name === "NotReadableError" || error.name === "NotFoundError") {
        return this.stop(transfer, "cancelled", true);
      }
      if (current()) this.#pause(transfer);
    }
  }

  async #sendBlock(transfer, channel, block, current) {
    for (let at = 0; at < block.byteLength && current(); at += kChunk) {
      if (channel.bufferedAmount > kFullBuffer) await eventOf(channel, "bufferedamountlow");
      if (!current()) return;
      const chunk = block.slice(at, at + kChunk);
      channel.send(chunk);
      transfer.bytes += chunk.byteLength;
    }
    if (current()) this.#change(transfer, "running");
  }

  #pause(transfer) {
    if (transfer.over || transfer.state === "offered") return;
    transfer.channel = null;
    this.#change(transfer, "paused");
  }

  #end(transfer, state) {
    const channel = transfer.channel;
    transfer.channel = null;
    transfer.parts = transfer.chunks = null;
    // The receiver's last bytes have come when it says "done"; only then the sender closes.
    channel?.close();
    this.#change(transfer, state);
    if (state === "done") transfer.settle.resolve(transfer.blob);
    else transfer.settle.reject(new DOMException(`the file was ${state}`, "AbortError"));
  }

  #change(transfer, state) {
    transfer.state = state;
    tell(transfer, "change", transfer);
  }
}

// Rejects when the channel closes first.
function eventOf(channel, type) {
  if (type === "open" && channel.readyState === "open") return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (event) => {
      for (const one of [type, "close"]) channel.removeEventListener(one, settle);
      if (event.type === type) resolve();
      else reject(new DOMException("the channel was closed", "AbortError"));
    };
    for (const one of [type, "close"]) channel.addEventListener(one, settle);
  });
}

function cleanFileName(name) {
  // No folders, no control characters: it may end as the name of a download.
  const plain = String(name ?? "").replace(/[\p{Cc}\\/]/gu, "_");
  return [...plain].slice(-kLongestFileName).join("");
}

// crypto.randomUUID is only for secure contexts.
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- the room

// Events: "state", "peer" (somebody is here), "gone" (a Peer has left), "message" {peer, data,
// direct}, "file" (a Transfer), "iceServers", "warning" {code, message}, "closed".
export class Room extends Emitter {
  #options;
  #signaling;
  #certificates = [];
  #started = false;
  #cleanups = [];

  constructor(name, options = {}) {
    super();
    this.name = name;
    this.#options = options;
    this.self = null;
    this.peers = new Map();
    this.stream = options.stream ?? null;
    this.iceServers = options.iceServers ?? [];
    // "connecting", "open", "waiting" (the connection is lost; again at `retryAt`), "closed".
    this.state = "connecting";
    this.retryAt = 0;
    // Once closed: {reason: "left" | "refused" | "ended", code, message}.
    this.closed = null;
    this.files = new Files(this, options.largestFile ?? kLargestFile);
    this.#signaling = this.#makeSignaling();
  }

  // Begins to enter; `join` does it for you.
  async connect() {
    if (this.#started) return;
    this.#started = true;
    const { signal } = this.#options;
    if (signal?.aborted) return this.leave();
    this.#listen(signal, "abort", () => this.leave());
    // A closed page is a leave, not a lost connection that may come back for two minutes.
    this.#listen(globalThis, "pagehide", () => this.leave());
    this.#watchNetwork();
    const Connection = this.#Connection;
    // One certificate for all connections: others know us by it when we come back.
    if (Connection?.generateCertificate) {
      const certificate = await Connection.generateCertificate({ name: "ECDSA", namedCurve: "P-256" });
      this.#certificates = [certificate];
    }
    if (!this.closed) this.#signaling.connect();
  }

  // Those who are here already are told, too.
  on(type, listener) {
    const end = super.on(type, listener);
    if (type === "peer") for (const peer of [...this.peers.values()]) listener(peer);
    return end;
  }

  // To everybody else, through the server: at most 64 KiB of JSON, 50 messages a second.
  send(data) {
    this.#signaling.send(undefined, { app: data });
  }

  // To everybody else, directly.
  sendDirect(data) {
    for (const peer of this.peers.values()) peer.sendDirect(data);
  }

  // Show these tracks from now on, in place of others of their kind.
  setStream(stream) {
    this.stream = stream;
    for (const peer of this.peers.values()) peer.show(stream);
  }

  // The network has changed, or the user does not want to wait.
  retry() {
    if (!this.#started || this.closed) return;
    this.#signaling.connect();
    for (const peer of this.peers.values()) {
      if (["disconnected", "failed"].includes(peer.state)) peer.restart();
    }
  }

  async getStats() {
    const all = [...this.peers.values()].map(async (peer) => [peer.id, await peer.getStats()]);
    return new Map(await Promise.all(all));
  }

  leave() {
    if (this.closed) return;
    this.#signaling.leave();
    this.#close({ reason: "left", code: CloseCode.left, message: "" });
  }

  // --- for Peer only

  get makesConnections() {
    return this.#Connection !== null;
  }

  makeConnection() {
    const Connection = this.#Connection;
    return new Connection(this.#configuration());
  }

  signal(to, data) {
    this.#signaling.send(to, data);
  }

  askForIceServers() {
    this.#signaling.askForIceServers();
  }

  doubt() {
    this.#signaling.doubt();
  }

  // ---

  get #Connection() {
    const { RTCPeerConnection: given } = this.#options;
    return given !== undefined ? given : globalThis.RTCPeerConnection ?? null;
  }

  #makeSignaling() {
    const { name, invitation, token, WebSocket: Socket = globalThis.WebSocket } = this.#options;
    if (!Socket) throw new TypeError("there is no WebSocket here: give one as options.WebSocket");
    const request = { room: this.name };
    for (const [key, value] of Object.entries({ name, invitation, token })) {
      if (value) request[key] = value;
    }
    const signaling = new Signaling(socketUrl(this.#options.url), (url) => new Socket(url), request);
    signaling.on("connection", (detail) => this.#onConnection(detail));
    signaling.on("joined", (message) => this.#onJoined(message));
    signaling.on("resumed", (message) => this.#onResumed(message));
    signaling.on("member-joined", ({ member }) => this.#add(member));
    signaling.on("member-left", ({ member, reason }) => this.#remove(member, reason));
    signaling.on("member-away", ({ member }) => this.peers.get(member)?.change({ away: true }));
    signaling.on("member-back", ({ member }) => this.#onBack(member));
    signaling.on("message", ({ from, data }) => this.peers.get(from)?.accept(data));
    signaling.on("ice-servers", (message) => this.#onIceServers(message));
    signaling.on("warning", (warning) => tell(this, "warning", warning));
    signaling.on("refused", (why) => this.#close({ reason: "refused", ...why }));
    signaling.on("ended", ({ code }) => this.#close({ reason: "ended", code, message: "" }));
    return signaling;
  }

  // A new network makes the old paths useless, often without a word.
  #watchNetwork() {
    const changed = () => {
      this.#signaling.doubt();
      for (const peer of this.peers.values()) peer.restart();
    };
    this.#listen(globalThis, "online", changed);
    this.#listen(globalThis.navigator?.connection, "change", changed);
  }

  #listen(target, type, listener) {
    if (!target?.addEventListener) return;
    target.addEventListener(type, listener);
    this.#cleanups.push(() => target.removeEventListener(type, listener));
  }

  #onConnection({ state, delay }) {
    if (state !== "waiting") return;
    this.retryAt = performance.now() + delay;
    this.#enter("waiting");
  }

  // Also comes after a connection that was lost for too long: then we are somebody new in the room.
  #onJoined({ self, members, ...ice }) {
    for (const id of [...this.peers.keys()]) this.#remove(id, "lost");
    this.self = self;
    this.#onIceServers(ice);
    this.#enter("open");
    for (const member of members) this.#add(member);
  }

  #onResumed({ members, ...ice }) {
    this.#onIceServers(ice);
    const present = new Set(members.map(({ id }) => id));
    for (const id of [...this.peers.keys()]) if (!present.has(id)) this.#remove(id, "left");
    for (const member of members) {
      this.#add(member);
      const peer = this.peers.get(member.id);
      peer.change({ away: Boolean(member.away) });
      peer.repeatOffer();
    }
    this.#enter("open");
    this.retry();
  }

  #onBack(member) {
    const peer = this.peers.get(member);
    peer?.change({ away: false });
    peer?.repeatOffer();
  }

  #onIceServers({ iceServers }) {
    if (!iceServers) return;
    this.iceServers = this.#options.selectServers?.(iceServers) ?? iceServers;
    for (const peer of this.peers.values()) peer.configure(this.#configuration());
    tell(this, "iceServers", this.iceServers);
  }

  #configuration() {
    return {
      ...this.#options.rtc,
      iceServers: this.iceServers,
      certificates: this.#certificates,
    };
  }

  #add(member) {
    if (this.peers.has(member.id)) return;
    const peer = new Peer(this, member);
    this.peers.set(member.id, peer);
    tell(this, "peer", peer);
  }

  #remove(id, reason) {
    const peer = this.peers.get(id);
    if (!peer) return;
    this.peers.delete(id);
    this.files.onGone(peer);
    peer.close();
    peer.leftBecause = reason;
    tell(this, "gone", peer);
  }

  #enter(state) {
    this.state = state;
    tell(this, "state", state);
  }

  #close(why) {
    if (this.closed) return;
    this.closed = why;
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    for (const id of [...this.peers.keys()]) this.#remove(id, "left");
    this.files.close();
    this.#enter("closed");
    tell(this, "closed", why);
  }
}

// Enters the room and answers it once inside. Rejects with a JoinError when the server refuses, and
// with an AbortError when `signal` says so; a server that does not answer is asked again and again.
export function join(name, options = {}) {
  const room = new Room(name, options);
  return new Promise((resolve, reject) => {
    const end = room.on("state", (state) => {
      if (state === "open") resolve(room);
      else if (state === "closed") reject(refusal(room.closed, options.signal));
      if (state === "open" || state === "closed") end();
    });
    room.connect().catch(reject);
  });
}

function refusal({ reason, code, message }, signal) {
  if (reason === "left") return signal?.reason ?? new DOMException("left", "AbortError");
  return new JoinError(reason === "refused" ? code : `closed-${code}`, message);
}

// "https://example.org" and "wss://example.org/ws" are the same server; without one it is the server that this
// module came from.
function socketUrl(given) {
  const ours = import.meta.url.startsWith("http") ? import.meta.url : undefined;
  if (!given && !ours) throw new TypeError("options.url says where the server is");
  const url = given ? new URL(given, globalThis.location?.href) : new URL("/ws", ours);
  if (url.protocol.startsWith("http")) url.protocol = url.protocol.replace("http", "ws");
  if (url.pathname === "/") url.pathname = "/ws";
  url.hash = "";
  return url.href;
}

// --- statistics

// {path: {kind, protocol, side}, roundTripMs, received and sent: {audio, video: {bytes, packets,
// lost, jitterMs, ...}}}. A path is a relay's if either end is relayed; the protocol to the relay is
// known of our own end only. Counts are since the beginning: two readings make a rate.
function summary(report) {
  const pair = selectedPair(report);
  const local = pair && report.get(pair.localCandidateId);
  const remote = pair && report.get(pair.remoteCandidateId);
  if (!local || !remote) return null;
  const trip = pair.currentRoundTripTime;
  return {
    path: nature(local, remote),
    roundTripMs: trip === undefined ? null : Math.round(trip * 1000),
    availableBitrate: pair.availableOutgoingBitrate ?? null,
    ...traffic(report),
  };
}

function traffic(report) {
  const received = {};
  const sent = {};
  for (const entry of report.values()) {
    if (entry.type === "inbound-rtp") {
      received[entry.kind] = {
        bytes: entry.bytesReceived ?? 0,
        packets: entry.packetsReceived ?? 0,
        lost: Math.max(0, entry.packetsLost ?? 0),
        jitterMs: Math.round((entry.jitter ?? 0) * 1000),
        width: entry.frameWidth ?? null,
        height: entry.frameHeight ?? null,
        framesPerSecond: entry.framesPerSecond ?? null,
      };
    } else if (entry.type === "outbound-rtp") {
      const told = report.get(entry.remoteId);
      sent[entry.kind] = {
        bytes: entry.bytesSent ?? 0,
        packets: entry.packetsSent ?? 0,
        lost: Math.max(0, told?.packetsLost ?? 0),
        jitterMs: Math.round((told?.jitter ?? 0) * 1000),
      };
    }
  }
  return { received, sent };
}

function selectedPair(report) {
  let chosen = null;
  for (const entry of report.values()) {
    if (entry.type === "transport" && entry.selectedCandidatePairId) {
      return report.get(entry.selectedCandidatePairId);
    }
    // Firefox marks the pair itself.
    if (entry.type === "candidate-pair" && entry.selected) chosen = entry;
  }
  return chosen;
}

function nature(local, remote) {
  if (local.candidateType === "relay") {
    return { kind: "relay", protocol: local.relayProtocol ?? "udp", side: "near" };
  }
  if (remote.candidateType === "relay") {
    return { kind: "relay", protocol: local.protocol, side: "far" };
  }
  const reflexive = [local, remote].find((candidate) => candidate.candidateType !== "host");
  return { kind: (reflexive ?? local).candidateType, protocol: local.protocol, side: "near" };
}
