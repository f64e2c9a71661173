// Before the call, and the pickers of cameras and microphones, which both the page before the call
// and the dialog in it have.

import { byId, memory, setHidden } from "./dom.js";
import { translate } from "./i18n.js";
import { listDevices } from "./media.js";

const kKinds = { audioinput: "audio", videoinput: "video" };

// {audio, video}: the ids of the devices that were chosen the last time.
export const chosenDevices = () => ({
  audio: memory.get("device.audio") ?? "",
  video: memory.get("device.video") ?? "",
});

export class DevicePickers {
  #media;
  #pickers = [...document.querySelectorAll("select.devices")];

  constructor(media) {
    this.#media = media;
    for (const picker of this.#pickers) {
      picker.addEventListener("change", () => this.#choose(picker));
    }
    media.addEventListener("devices", () => this.refresh());
    media.addEventListener("changed", () => this.refresh());
  }

  async refresh() {
    const devices = await listDevices();
    for (const picker of this.#pickers) this.#fill(picker, devices);
  }

  #fill(picker, all) {
    const { kind } = picker.dataset;
    const devices = all.filter((device) => device.kind === kind);
    const current = this.#media.deviceOf(kKinds[kind]);
    const options = devices.map(({ deviceId, label }, index) =>
      new Option(label || translate(`devices.${kKinds[kind]}Number`, { number: index + 1 }), deviceId));
    if (!current) options.unshift(new Option(translate("devices.test"), ""));
    picker.replaceChildren(...options);
    picker.value = current;
    setHidden(picker.closest(".field"), devices.length === 0);
  }

  async #choose(picker) {
    const kind = kKinds[picker.dataset.kind];
    if (!picker.value) return;
    if (await this.#media.useDevice(kind, picker.value)) memory.set(`device.${kind}`, picker.value);
    this.refresh();
  }
}

// A room that was entered in this tab is entered again at once: after a reload, for instance.
const kEntered = "turnpike.entered";

export function wasEntered(room) {
  try {
    return sessionStorage.getItem(kEntered) === room;
  } catch {
    return false;
  }
}

export function rememberEntered(room) {
  try {
    if (room === null) sessionStorage.removeItem(kEntered);
    else sessionStorage.setItem(kEntered, room);
  } catch {
    // Asked again, then.
  }
}

// Shows the page before the call; resolves with the name when the user enters.
export function prejoin(media, opened, name) {
  setHidden(byId("prejoin"), false);
  byId("prejoin-name").value = name;
  const video = byId("preview");
  const showPreview = () => {
    if (video.srcObject !== media.stream) video.srcObject = media.stream;
    setHidden(byId("preview-off"), media.isEnabled("video"));
    video.classList.toggle("mirrored", !media.synthetic.video);
    for (const [id, kind] of [["prejoin-microphone", "audio"], ["prejoin-camera", "video"]]) {
      byId(id).checked = media.isEnabled(kind);
    }
  };
  opened.then(() => {
    showPreview();
    byId("enter").disabled = false;
  });
  media.addEventListener("changed", showPreview);
  for (const [id, kind] of [["prejoin-microphone", "audio"], ["prejoin-camera", "video"]]) {
    byId(id).addEventListener("change", ({ target }) => {
      media.setEnabled(kind, target.checked);
      showPreview();
    });
  }
  return new Promise((done) => {
    byId("prejoin-form").addEventListener("submit", (event) => {
      event.preventDefault();
      media.removeEventListener("changed", showPreview);
      video.srcObject = null;
      setHidden(byId("prejoin"), true);
      done(byId("prejoin-name").value);
    }, { once: true });
  });
}
