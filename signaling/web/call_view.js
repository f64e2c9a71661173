// What the call page shows of a Room: tiles, the list of people, the chat log. It reads the model
// and writes the DOM; it decides nothing.

import { byId, cloneTemplate, setHidden } from "./dom.js";
import { bitRate, percentage } from "./numbers.js";
import { localise, say, sayNothing, translate } from "./i18n.js";

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
  #showsStats = false;

  // `onSilenced` is called when the browser does not let a picture play with its sound.
  constructor({ onSilenced }) {
    this.#onSilenced = onSilenced;
  }

  showStats(shown) {
    this.#showsStats = shown;
  }

  // The picture that is worth a window of its own.
  get mainVideo() {
    return [...this.#tiles].find(([id]) => id !== "self")?.[1].querySelector("video") ?? null;
  }

  // What a recording holds: {video, name, own}.
  get pictures() {
    return [...this.#tiles].map(([id, tile]) => ({
      video: tile.querySelector("video"),
      name: tile.querySelector(".name").textContent,
      covered: !tile.querySelector(".cover").hidden,
      own: id === "self",
    }));
  }

  showSelf(stream, name, { microphone, camera, screen }) {
    const tile = this.#tileFor("self");
    tile.classList.toggle("screen", screen);
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
    tile.classList.toggle("screen", member.screen);
    this.#stats(tile, member);
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

  #stats(tile, { stats, rates }) {
    const list = tile.querySelector(".stats");
    setHidden(list, !this.#showsStats || !stats || !rates);
    if (list.hidden) return;
    const { width, height, framesPerSecond } = stats.received.video ?? {};
    const rows = [
      ["stats.path", describePath({ ...stats, roundTripMs: null })],
      ["stats.roundTrip", stats.roundTripMs === null ? "…" : `${stats.roundTripMs} ms`],
      ["stats.received", `${bitRate(rates.received.bitrate)}, ${percentage(rates.received.loss)}`],
      ["stats.sent", `${bitRate(rates.sent.bitrate)}, ${percentage(rates.sent.loss)}`],
      ["stats.jitter", `${stats.received.audio?.jitterMs ?? "…"} ms`],
      ["stats.size", width ? `${width}×${height}, ${framesPerSecond ?? 0}/s` : "…"],
    ];
    list.replaceChildren(...rows.flatMap(([key, words]) => {
      const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = translate(key);
      detail.textContent = words;
      return [term, detail];
    }));
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
