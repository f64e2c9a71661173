// A call in one room: who is here, one Peer for each of them, what they said. No DOM in here.
//
// Events (all without the page's words, which the page finds itself):
//   "phase"      `phase` changed: "connecting", "inside", "lost", "left", "refused", "ended"
//   "members"    somebody came, went, or changed in any way
//   "arrival", "departure" {member}   for the log
//   "chat"       {member, text}
//   "ice"        `hasRelay` may have changed

import { selectedPath } from "./path.js";
import { Peer } from "./peer.js";
import { SignalingClient } from "./signaling.js";

const kPathEvery = 2_000;
const kLongestText = 2_000;
const kLongestName = 64;

// What the server takes for a member's name: plain text of up to 64 characters.
export function cleanName(text) {
  return [...text.replace(/\p{Cc}/gu, "").trim()].slice(0, kLongestName).join("");
}

export class Room extends EventTarget {
  #signaling;
  #media;
  #name;
  #wish;
  #iceServers = [];
  #pathTimer = 0;

  // `wish` is what the address asked for: {relayOnly, transport}.
  constructor({ url, room, name, invitation, media, wish }) {
    super();
    this.phase = "connecting";
    this.reason = null;
    this.retryAt = 0;
    this.self = null;
    this.members = new Map();
    this.#name = name;
    this.#media = media;
    this.#wish = wish;
    this.#signaling = new SignalingClient({ url, room, name, invitation });
    this.#listenToServer();
    media.addEventListener("replaced", ({ detail: track }) => {
      for (const member of this.members.values()) member.peer.replaceTrack(track);
    });
  }

  get name() {
    return this.#name;
  }

  get hasRelay() {
    return this.#iceServers.some((server) => urlsOf(server).some((url) => url.startsWith("turn")));
  }

  enter() {
    this.#signaling.connect();
    this.#pathTimer = setInterval(() => this.#readPaths(), kPathEvery);
  }

  // The network is back, or the user does not want to wait.
  retryNow() {
    if (this.phase === "lost") this.#signaling.connect();
    for (const { peer } of this.members.values()) {
      if (["disconnected", "failed"].includes(peer.state)) peer.restart();
    }
  }

  hangUp() {
    if (this.#isOver()) return;
    this.#signaling.leave();
    this.#end("left");
  }

  chat(text) {
    const said = text.slice(0, kLongestText);
    for (const { peer } of this.members.values()) peer.sendData({ type: "chat", text: said });
    this.#tell("chat", { member: this.self, text: said });
  }

  rename(name) {
    this.#name = name;
    if (this.self) this.self.name = this.#name;
    this.announceProfile();
    this.#tell("members");
  }

  // Name and switches are told over the data channels: the server knows only the name at the join.
  announceProfile() {
    for (const { peer } of this.members.values()) peer.sendData(this.#profile());
  }

  #profile() {
    return {
      type: "profile",
      name: this.#name,
      microphone: this.#media.isEnabled("audio"),
      camera: this.#media.isEnabled("video"),
    };
  }

  #listenToServer() {
    const on = (type, take) =>
      this.#signaling.addEventListener(type, (event) => take.call(this, event.detail));
    on("connection", this.#onConnection);
    on("joined", this.#onJoined);
    on("resumed", this.#onResumed);
    on("member-joined", ({ member }) => this.#add(member));
    on("member-left", ({ member }) => this.#remove(member));
    on("member-away", ({ member }) => this.#change(member, { away: true }));
    on("member-back", ({ member }) => this.#change(member, { away: false }));
    on("message", ({ from, data }) => this.members.get(from)?.peer.accept(data ?? {}));
    on("ice-servers", this.#onIceServers);
    on("refused", ({ code }) => this.#end("refused", code));
    on("ended", ({ code }) => this.#end("ended", code));
  }

  #onConnection({ state, delay }) {
    if (state !== "waiting") return;
    this.retryAt = performance.now() + delay;
    this.#enterPhase("lost");
  }

  // Also comes after a connection that was lost for too long: then we are somebody new in the room.
  #onJoined({ self, members, ...ice }) {
    for (const id of [...this.members.keys()]) this.#drop(id);
    this.self = { ...self, name: this.#name || self.name || "" };
    this.#onIceServers(ice);
    for (const member of members) this.#insert(member);
    this.#enterPhase("inside");
    this.#tell("members");
  }

  #onResumed({ members, ...ice }) {
    this.#onIceServers(ice);
    const present = new Map(members.map((member) => [member.id, member]));
    for (const id of [...this.members.keys()]) if (!present.has(id)) this.#remove(id);
    for (const member of members) {
      this.#add(member);
      this.#change(member.id, { away: member.away });
    }
    this.#enterPhase("inside");
    this.retryNow();
  }

  #onIceServers({ iceServers }) {
    if (!iceServers) return;
    this.#iceServers = selectServers(iceServers, this.#wish.transport);
    for (const { peer } of this.members.values()) peer.setConfiguration(this.#configuration());
    this.#tell("ice");
  }

  #configuration() {
    return {
      iceServers: this.#iceServers,
      iceTransportPolicy: this.#wish.relayOnly ? "relay" : "all",
    };
  }

  #add(description) {
    if (this.members.has(description.id)) return;
    const member = this.#insert(description);
    this.#tell("arrival", { member });
    this.#tell("members");
  }

  #insert({ id, name, polite, away }) {
    const peer = new Peer({
      polite,
      configuration: this.#configuration(),
      stream: this.#media.stream,
      send: (signal) => this.#signaling.send(id, signal),
    });
    const member = { id, name: name ?? "", away: Boolean(away), peer, path: null };
    member.microphone = true;
    member.camera = true;
    this.members.set(id, member);
    peer.addEventListener("state", () => this.#onPeerState(member));
    peer.addEventListener("track", () => this.#tell("members"));
    peer.addEventListener("data", ({ detail }) => this.#onData(member, detail));
    peer.sendData(this.#profile());
    return member;
  }

  #remove(id) {
    const member = this.members.get(id);
    if (!member) return;
    this.#drop(id);
    this.#tell("departure", { member });
    this.#tell("members");
  }

  #drop(id) {
    this.members.get(id)?.peer.close();
    this.members.delete(id);
  }

  #change(id, changes) {
    const member = this.members.get(id);
    if (!member) return;
    Object.assign(member, changes);
    this.#tell("members");
  }

  #onPeerState(member) {
    if (member.peer.state === "connected") this.#readPath(member);
    if (member.peer.state === "failed") this.#signaling.askForIceServers();
    this.#tell("members");
  }

  #onData(member, data) {
    if (data?.type === "chat" && typeof data.text === "string") {
      this.#tell("chat", { member, text: data.text.slice(0, kLongestText) });
    } else if (data?.type === "profile") {
      const name = typeof data.name === "string" ? cleanName(data.name) : member.name;
      this.#change(member.id, {
        name,
        microphone: data.microphone !== false,
        camera: data.camera !== false,
      });
    }
  }

  #readPaths() {
    for (const member of this.members.values()) this.#readPath(member);
  }

  async #readPath(member) {
    if (member.peer.state !== "connected") return;
    member.path = await selectedPath(member.peer.connection);
    this.#tell("members");
  }

  #isOver() {
    return ["left", "refused", "ended"].includes(this.phase);
  }

  #end(phase, reason = null) {
    clearInterval(this.#pathTimer);
    for (const id of [...this.members.keys()]) this.#drop(id);
    this.reason = reason;
    this.#enterPhase(phase);
    this.#tell("members");
  }

  #enterPhase(phase) {
    this.phase = phase;
    this.#tell("phase");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const urlsOf = ({ urls }) => (Array.isArray(urls) ? urls : [urls]);

// With a transport asked for, only the TURN URLs of that transport stay, and nothing else.
function selectServers(iceServers, transport) {
  if (!transport) return iceServers;
  return iceServers
    .map((server) => ({ ...server, urls: urlsOf(server).filter((url) => uses(url, transport)) }))
    .filter(({ urls }) => urls.length > 0);
}

function uses(url, transport) {
  if (transport === "tls") return url.startsWith("turns:");
  if (!url.startsWith("turn:")) return false;
  const named = /[?&]transport=(\w+)/.exec(url);
  return (named ? named[1] : "udp") === transport;
}
