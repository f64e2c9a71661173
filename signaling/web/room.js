// A call in one room, on top of the client module (client/v1.js): who is here and what they said.
// What members tell each other beyond media goes over their data channels:
//
//   {type: "profile", name, microphone, camera, screen}   also when one of them changes
//   {type: "chat", text}
//
// No DOM in here. Events:
//   "phase"      `phase` changed: "connecting", "inside", "lost", "left", "refused", "ended"
//   "members"    somebody came, went, or changed in any way
//   "arrival", "departure" {member}   for the log
//   "chat"       {member, text}
//   "file"       {member, transfer}
//   "ice"        `hasRelay` may have changed

import { Room as Client } from "/client/v1.js";

const kStatsEvery = 2_000;
const kLongestText = 2_000;
const kLongestName = 64;

// What the server takes for a member's name: plain text of up to 64 characters.
export function cleanName(text) {
  return [...text.replace(/\p{Cc}/gu, "").trim()].slice(0, kLongestName).join("");
}

export class Room extends EventTarget {
  #client;
  #media;
  #name;
  #statsTimer = 0;

  // `wish` is what the address asked for: {relayOnly, transport}.
  constructor({ room, name, invitation, media, wish }) {
    super();
    this.phase = "connecting";
    this.reason = null;
    this.self = null;
    this.members = new Map();
    this.#name = name;
    this.#media = media;
    this.#client = new Client(room, {
      name,
      invitation,
      stream: media.stream,
      rtc: { iceTransportPolicy: wish.relayOnly ? "relay" : "all" },
      selectServers: (iceServers) => selectServers(iceServers, wish.transport),
    });
    this.#listen();
  }

  get name() {
    return this.#name;
  }

  get retryAt() {
    return this.#client.retryAt;
  }

  get hasRelay() {
    return this.#client.iceServers.some((server) =>
      urlsOf(server).some((url) => url.startsWith("turn")));
  }

  get isOver() {
    return ["left", "refused", "ended"].includes(this.phase);
  }

  enter() {
    this.#client.connect();
    this.#statsTimer = setInterval(() => this.#readStats(), kStatsEvery);
  }

  // The network is back, or the user does not want to wait.
  retryNow() {
    this.#client.retry();
  }

  hangUp() {
    this.#client.leave();
  }

  chat(text) {
    const said = text.slice(0, kLongestText);
    this.#client.sendDirect({ type: "chat", text: said });
    this.#tell("chat", { member: this.self, text: said });
  }

  // To everybody: one Transfer for each of them.
  sendFile(blob, options) {
    return [...this.members.values()].map((member) => ({
      member, transfer: member.peer.sendFile(blob, options),
    }));
  }

  rename(name) {
    this.#name = name;
    if (this.self) this.self.name = name;
    this.announceProfile();
    this.#tell("members");
  }

  // Name and switches are told directly: the server knows only the name at the join.
  announceProfile() {
    this.#client.sendDirect(this.#profile());
  }

  #profile() {
    return {
      type: "profile",
      name: this.#name,
      microphone: this.#media.isEnabled("audio"),
      camera: this.#media.isEnabled("video") || this.#media.sharesScreen,
      screen: this.#media.sharesScreen,
    };
  }

  #listen() {
    const client = this.#client;
    client.on("state", (state) => this.#onState(state));
    client.on("peer", (peer) => this.#onPeer(peer));
    client.on("gone", (peer) => this.#onGone(peer));
    client.on("message", ({ peer, data }) => this.#onData(this.members.get(peer.id), data));
    client.on("file", (transfer) => this.#tell("file", {
      member: this.members.get(transfer.peer.id), transfer,
    }));
    client.on("iceServers", () => this.#tell("ice"));
    client.on("warning", ({ code, message }) => console.warn(`${code}: ${message}`));
    this.#media.addEventListener("replaced", () => client.setStream(this.#media.stream));
  }

  #onState(state) {
    if (state === "open") {
      this.self = { ...this.#client.self, name: this.#name || this.#client.self.name || "" };
      this.#enterPhase("inside");
      this.#tell("members");
    } else if (state === "waiting") {
      this.#enterPhase("lost");
    } else if (state === "closed") {
      clearInterval(this.#statsTimer);
      this.reason = this.#client.closed.code;
      this.#enterPhase(this.#client.closed.reason);
      this.#tell("members");
    }
  }

  // Those who were here before us come while we enter; for the log they did not come.
  #onPeer(peer) {
    const member = {
      id: peer.id, name: peer.name, away: peer.away, peer, microphone: true, camera: true,
      screen: false, stats: null, rates: null,
    };
    this.members.set(peer.id, member);
    peer.on("state", () => this.#onPeerState(member));
    peer.on("track", () => this.#tell("members"));
    peer.on("change", () => {
      member.away = peer.away;
      this.#tell("members");
    });
    peer.sendDirect(this.#profile());
    if (peer.polite === false) this.#tell("arrival", { member });
    this.#tell("members");
  }

  #onGone(peer) {
    const member = this.members.get(peer.id);
    this.members.delete(peer.id);
    if (this.phase === "inside") this.#tell("departure", { member });
    this.#tell("members");
  }

  #onPeerState(member) {
    if (member.peer.state === "connected") this.#readStatsOf(member);
    this.#tell("members");
  }

  #onData(member, data) {
    if (!member) return;
    if (data?.type === "chat" && typeof data.text === "string") {
      this.#tell("chat", { member, text: data.text.slice(0, kLongestText) });
    } else if (data?.type === "profile") {
      if (typeof data.name === "string") member.name = cleanName(data.name);
      member.microphone = data.microphone !== false;
      member.camera = data.camera !== false;
      member.screen = data.screen === true;
      this.#tell("members");
    }
  }

  #readStats() {
    for (const member of this.members.values()) this.#readStatsOf(member);
  }

  async #readStatsOf(member) {
    const stats = await member.peer.getStats();
    if (!stats) return;
    stats.at = performance.now();
    member.rates = member.stats ? ratesBetween(member.stats, stats) : null;
    member.stats = stats;
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

// {received, sent}: {bitrate, loss} of the time between two readings; loss is null without packets.
export function ratesBetween(before, now) {
  const seconds = (now.at - before.at) / 1000;
  const rate = (direction) => {
    const sum = (stats, field) =>
      Object.values(stats[direction]).reduce((total, kind) => total + kind[field], 0);
    const more = (field) => Math.max(0, sum(now, field) - sum(before, field));
    const lost = more("lost");
    // What did not arrive is not among the packets received, but among those sent.
    const packets = more("packets") + (direction === "received" ? lost : 0);
    return {
      bitrate: seconds > 0 ? (more("bytes") * 8) / seconds : 0,
      loss: packets > 0 ? Math.min(1, lost / packets) : null,
    };
  };
  return { received: rate("received"), sent: rate("sent") };
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
