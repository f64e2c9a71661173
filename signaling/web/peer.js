// One other member of the room: one RTCPeerConnection, kept agreed by "perfect negotiation" (both
// sides may offer at any time; the server says who is polite and gives way), and one data channel.
//
// Events: "track" (a remote track came; see `remote`), "state" (connection state), "data" {detail}.

const kOfferGrace = 2_000;
const kRestartDelays = [0, 2_000, 4_000, 8_000, 15_000];
const kLongestOutbox = 100;

export class Peer extends EventTarget {
  #connection;
  #channel;
  #polite;
  #send;
  #makingOffer = false;
  #ignoringOffer = false;
  #mayOffer;
  #offerTimer = 0;
  #restartTimer = 0;
  #restarts = 0;
  #candidates = [];
  #signals = Promise.resolve();
  #outbox = [];

  // `send` takes a signal to the other side; `stream` holds what we show, one track of each kind.
  constructor({ polite, configuration, stream, send }) {
    super();
    this.remote = new MediaStream();
    this.#polite = polite;
    this.#send = send;
    this.#connection = new RTCPeerConnection(configuration);
    this.#listen();
    // Who was here first offers. The newcomer waits a moment, or every call would begin with both
    // offering at once; after that it offers too, for clients that expect it to.
    this.#mayOffer = !polite;
    if (polite) this.#offerTimer = setTimeout(() => this.#offerAnyway(), kOfferGrace);
    // Same id on both sides: the channel needs no announcement and no side that opens it.
    this.#channel = this.#connection.createDataChannel("turnpike", { negotiated: true, id: 0 });
    this.#listenToChannel();
    for (const track of stream.getTracks()) this.#connection.addTrack(track, stream);
  }

  get connection() {
    return this.#connection;
  }

  get state() {
    return this.#connection.connectionState;
  }

  // A signal from the other side. They are worked on one after the other, in their order.
  accept(signal) {
    this.#signals = this.#signals
      .then(() => this.#apply(signal))
      .catch((error) => {
        if (this.state !== "closed") console.warn("negotiation:", error.message);
      });
  }

  // Reaches the other side now, or as soon as the channel opens.
  sendData(data) {
    const text = JSON.stringify(data);
    if (this.#channel.readyState === "open") {
      this.#channel.send(text);
    } else if (this.#outbox.length < kLongestOutbox) {
      this.#outbox.push(text);
    }
  }

  replaceTrack(track) {
    for (const sender of this.#connection.getSenders()) {
      if (sender.track?.kind === track.kind) sender.replaceTrack(track).catch(() => {});
    }
  }

  setConfiguration(configuration) {
    this.#connection.setConfiguration?.(configuration);
  }

  restart() {
    if (this.#connection.remoteDescription) this.#connection.restartIce();
  }

  close() {
    clearTimeout(this.#offerTimer);
    clearTimeout(this.#restartTimer);
    this.#connection.close();
  }

  #listen() {
    const connection = this.#connection;
    connection.addEventListener("negotiationneeded", () => this.#offer());
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate) this.#send({ candidate });
    });
    connection.addEventListener("track", ({ track }) => {
      this.remote.addTrack(track);
      this.dispatchEvent(new Event("track"));
    });
    connection.addEventListener("connectionstatechange", () => this.#onState());
  }

  #listenToChannel() {
    this.#channel.addEventListener("open", () => {
      for (const text of this.#outbox.splice(0)) this.#channel.send(text);
    });
    this.#channel.addEventListener("message", ({ data }) => {
      try {
        this.dispatchEvent(new CustomEvent("data", { detail: JSON.parse(data) }));
      } catch {
        // Not ours.
      }
    });
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
      if (this.state !== "closed") console.warn("offer:", error.message);
    } finally {
      this.#makingOffer = false;
    }
  }

  async #apply({ description, candidate }) {
    if (this.state === "closed") return;
    if (description) {
      await this.#applyDescription(description);
    } else if (candidate) {
      await this.#applyCandidate(candidate);
    }
  }

  async #applyDescription(description) {
    const connection = this.#connection;
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
      this.#candidates.push(candidate);
      return;
    }
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (error) {
      // Candidates of an offer that we ignored belong to nothing.
      if (!this.#ignoringOffer) throw error;
    }
  }

  #onState() {
    if (this.state === "connected") {
      this.#restarts = 0;
      clearTimeout(this.#restartTimer);
    } else if (this.state === "failed") {
      const delay = kRestartDelays[Math.min(this.#restarts, kRestartDelays.length - 1)];
      this.#restarts += 1;
      clearTimeout(this.#restartTimer);
      this.#restartTimer = setTimeout(() => this.restart(), delay);
    }
    this.dispatchEvent(new Event("state"));
  }
}
