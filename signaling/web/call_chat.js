// The chat: what was said, who came and went, and files, pictures and voice messages on their way.

import { byId, cloneTemplate, handOnFocus, setHidden } from "./dom.js";
import { localise, say, translate } from "./i18n.js";
import { byteSize } from "./numbers.js";
import { Tape } from "./tape.js";

const kLongestLog = 500;
// Pictures that browsers show without running anything in them; up to this size nobody is asked.
const kPictures = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
const kShownUnasked = 5_000_000;

export const isPicture = ({ mime, type }) => kPictures.has(mime ?? type);
export const isVoice = ({ about, mime, type }) =>
  about?.voice === true && (mime ?? type).startsWith("audio/");

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

  // Our own file, on its way to some members: [{member, transfer}].
  sends(name, blob, { title, about }, sendings) {
    const facts = { name: title, size: blob.size, mime: blob.type, about };
    const card = this.#card(name, true, facts, sendings.map(({ transfer }) => transfer));
    this.#show(card, facts, blob);
  }

  // A file that somebody offers.
  receives(name, transfer) {
    const card = this.#card(name, false, transfer, [transfer]);
    card.querySelector(".accept").addEventListener("click", () => transfer.accept());
    card.querySelector(".decline").addEventListener("click", () => transfer.decline());
    transfer.done.then((blob) => this.#show(card, transfer, blob), () => {});
    if (transfer.size <= kShownUnasked && (isPicture(transfer) || isVoice(transfer))) {
      transfer.accept();
    }
  }

  #card(name, own, facts, transfers) {
    const card = cloneTemplate("file-template");
    localise(card);
    card.classList.add(own ? "own" : "other");
    card.querySelector(".who").textContent = name;
    card.querySelector(".file-name").textContent =
      `${isVoice(facts) ? translate("voice.name") : facts.name} · ${byteSize(facts.size)}`;
    card.querySelector(".cancel").addEventListener("click", () => {
      for (const transfer of transfers) if (!transfer.over) transfer.cancel();
    });
    const refresh = () => showProgress(card, own, transfers);
    for (const transfer of transfers) transfer.on("change", refresh);
    refresh();
    this.#append(card);
    return card;
  }

  #show(card, facts, blob) {
    const url = URL.createObjectURL(blob);
    const save = card.querySelector(".save");
    save.href = url;
    save.download = facts.name || "file";
    if (isPicture(facts)) {
      const image = card.querySelector("img");
      image.alt = facts.name;
      image.addEventListener("load", () => this.#toEnd());
      image.src = url;
      setHidden(image, false);
    } else if (isVoice(facts)) {
      const audio = card.querySelector("audio");
      audio.src = url;
      audio.setAttribute("aria-label", translate("voice.name"));
      setHidden(audio, false);
    }
    this.#toEnd();
  }

  #append(line) {
    this.#log.append(line);
    if (this.#log.children.length > kLongestLog) {
      handOnFocus(this.#log.firstElementChild);
      this.#log.firstElementChild.remove();
    }
    this.#toEnd();
  }

  #toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }
}

function showProgress(card, own, transfers) {
  const bytes = transfers.reduce((sum, transfer) => sum + transfer.bytes, 0);
  const size = transfers.reduce((sum, transfer) => sum + transfer.size, 0);
  const states = transfers.map(({ state }) => state);
  const waits = !own && states[0] === "offered";
  const open = transfers.filter(({ over }) => !over).length;
  const bar = card.querySelector("progress");
  bar.value = size > 0 ? bytes / size : 1;
  setHidden(bar, open === 0 || waits);
  setHidden(card.querySelector(".accept"), !waits);
  setHidden(card.querySelector(".decline"), !waits);
  setHidden(card.querySelector(".cancel"), waits || open === 0);
  setHidden(card.querySelector(".save"), own || states[0] !== "done");
  card.dataset.state = transfers.length === 1 ? states[0] : open > 0 ? "running" : "done";
  const line = card.querySelector(".file-state");
  if (transfers.length > 1) {
    const done = states.filter((state) => state === "done").length;
    say(line, "file.several", { done, all: transfers.length });
  } else {
    const progress = byteSize(bytes);
    say(line, `file.${own ? "out" : "in"}.${states[0]}`, { progress, size: byteSize(size) });
  }
}

// The voice message that is being recorded.
export class VoiceRecorder {
  #tape = null;
  #track = null;

  static get supported() {
    return Boolean(window.MediaRecorder);
  }

  get running() {
    return this.#tape !== null;
  }

  // Throws what MediaRecorder throws when the browser cannot.
  start(track) {
    // A copy: one may speak a message with the microphone muted for the call.
    const copy = track.clone();
    copy.enabled = true;
    try {
      this.#tape = new Tape(new MediaStream([copy]), { audioBitsPerSecond: 32_000 });
      this.#track = copy;
    } catch (error) {
      copy.stop();
      throw error;
    }
  }

  // Resolves with the Blob, which is empty when there was nothing to hear.
  async stop() {
    const [tape, track] = [this.#tape, this.#track];
    this.#tape = null;
    const { blob } = await tape.stop();
    track.stop();
    return blob;
  }
}
