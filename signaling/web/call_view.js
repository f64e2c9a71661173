// What the call page shows of a Room: tiles, the list of people, the chat log. It reads the model
// and writes the DOM; it decides nothing.

import { byId, cloneTemplate, setHidden } from "./dom.js";
import { localise, say, sayNothing, translate } from "./i18n.js";

const kLongestLog = 500;

export function nameOf(member) {
  return member.name || translate("call.guest", { id: member.id.slice(-4) });
}

export function initialOf(name) {
  return [...name.trim()][0]?.toUpperCase() ?? "·";
}

export function describePath({ path, roundTripMs }) {
  const key = path.kind === "relay" && path.side === "far" ? "path.relayFar" : `path.${path.kind}`;
  const words = translate(key, { protocol: path.protocol });
  if (roundTripMs === null) return words;
  return translate("path.roundTrip", { path: words, milliseconds: roundTripMs });
}

function describeState(member, hasRelay) {
  if (member.away) return "peer.away";
  switch (member.peer.state) {
    case "connected": return null;
    case "disconnected": return "peer.interrupted";
    case "failed": return hasRelay ? "peer.failed" : "peer.failedNoRelay";
    default: return "peer.connecting";
  }
}

// The pictures: our own and one for each member.
export class Stage {
  #list = byId("tiles");
  #tiles = new Map();
  #onSilenced;

  // `onSilenced` is called when the browser does not let a picture play with its sound.
  constructor({ onSilenced }) {
    this.#onSilenced = onSilenced;
  }

  showSelf(stream, name, { microphone, camera }) {
    const tile = this.#tileFor("self");
    tile.classList.add("own");
    const video = tile.querySelector("video");
    video.muted = true;
    this.#play(video, stream);
    this.#caption(tile, name, microphone);
    this.#cover(tile, name, !camera);
  }

  showMembers(members, hasRelay) {
    for (const id of [...this.#tiles.keys()]) {
      if (id !== "self" && !members.has(id)) this.#remove(id);
    }
    for (const member of members.values()) this.#showMember(member, hasRelay);
    this.#list.dataset.count = String(this.#tiles.size);
  }

  // After a touch of the page, which is what browsers wait for.
  unmute() {
    for (const [id, tile] of this.#tiles) {
      const video = tile.querySelector("video");
      if (id !== "self") video.muted = false;
      video.play().catch(() => {});
    }
  }

  clear() {
    for (const id of [...this.#tiles.keys()]) this.#remove(id);
  }

  #showMember(member, hasRelay) {
    const tile = this.#tileFor(member.id);
    const name = nameOf(member);
    if (member.peer.stream.getTracks().length > 0) {
      this.#play(tile.querySelector("video"), member.peer.stream);
    }
    this.#caption(tile, name, member.microphone);
    const state = describeState(member, hasRelay);
    this.#cover(tile, name, !member.camera || member.peer.state !== "connected");
    const stateLine = tile.querySelector(".tile-state");
    if (state) say(stateLine, state);
    else sayNothing(stateLine);
    this.#path(tile, state ? null : member.stats);
  }

  #path(tile, stats) {
    const badge = tile.querySelector(".path");
    setHidden(badge, !stats);
    if (!stats) return;
    const words = describePath(stats);
    if (badge.textContent !== words) badge.textContent = words;
    badge.dataset.kind = stats.path.kind;
    badge.dataset.protocol = stats.path.protocol;
  }

  #caption(tile, name, microphone) {
    tile.querySelector(".name").textContent = name;
    tile.querySelector(".muted").toggleAttribute("hidden", microphone);
  }

  #cover(tile, name, covered) {
    const cover = tile.querySelector(".cover");
    setHidden(cover, !covered);
    cover.firstElementChild.textContent = initialOf(name);
  }

  async #play(video, stream) {
    if (video.srcObject === stream) return;
    video.srcObject = stream;
    try {
      await video.play();
    } catch (error) {
      // NotAllowedError: no sound before the user has touched the page. A picture is allowed.
      if (error.name !== "NotAllowedError") return;
      video.muted = true;
      this.#onSilenced();
      video.play().catch(() => {});
    }
  }

  #tileFor(id) {
    let tile = this.#tiles.get(id);
    if (!tile) {
      tile = cloneTemplate("tile-template");
      localise(tile);
      tile.querySelector(".path").hidden = true;
      tile.dataset.member = id;
      const video = tile.querySelector("video");
      video.addEventListener("resize", () =>
        tile.classList.toggle("upright", video.videoHeight > video.videoWidth));
      this.#tiles.set(id, tile);
      this.#list.append(tile);
    }
    return tile;
  }

  #remove(id) {
    const tile = this.#tiles.get(id);
    tile.querySelector("video").srcObject = null;
    tile.remove();
    this.#tiles.delete(id);
  }
}

export function showPeople(self, ownName, members, hasRelay) {
  const rows = [];
  if (self) rows.push(personRow(ownName, null));
  for (const member of members.values()) {
    const state = describeState(member, hasRelay);
    const path = member.stats ? describePath(member.stats) : translate("peer.connected");
    rows.push(personRow(nameOf(member), state ? translate(state) : path));
  }
  byId("people").replaceChildren(...rows);
}

function personRow(name, detail) {
  const row = cloneTemplate("person-template");
  row.querySelector(".name").textContent = name;
  row.querySelector(".detail").textContent = detail ?? "";
  return row;
}

// The chat: what was said, and who came and went.
export class ChatLog {
  #log = byId("chat-log");

  constructor() {
    this.note("chat.empty");
  }

  said(name, text, own) {
    const line = cloneTemplate("line-template");
    line.classList.add(own ? "own" : "other");
    line.querySelector(".who").textContent = name;
    line.querySelector(".what").textContent = text;
    this.#append(line);
  }

  note(key, values) {
    const line = cloneTemplate("line-template");
    line.classList.add("note");
    line.querySelector(".who").remove();
    say(line.querySelector(".what"), key, values);
    this.#append(line);
  }

  #append(line) {
    this.#log.append(line);
    if (this.#log.children.length > kLongestLog) this.#log.firstElementChild.remove();
    this.#log.scrollTop = this.#log.scrollHeight;
  }
}
