// What we show and say: camera and microphone, or a moving picture and a soft tone made here where
// there is none, so that a call (and a trial of the server) works on any machine.
//
// Events: "replaced" {detail: track}: a track of `stream` was exchanged for another of its kind;
// "changed": `problem`, `synthetic` or `sharesScreen` are other than before; "devices": one came or
// went.

import { after } from "./waiting.js";

const kPatience = 4_000;
const kWidth = 640;
const kHeight = 360;
const kFramesPerSecond = 15;
const kLoudness = 0.02;

export class LocalMedia extends EventTarget {
  #cleanups = [];
  #enabled = { audio: true, video: true };
  #camera = null; // put aside while the screen is shared
  #closed = false;
  #initials = "";

  constructor() {
    super();
    this.stream = new MediaStream();
    // Why something is synthetic: "asked", "insecure", "unsupported", "denied", "missing", "busy",
    // "waiting" (the browser still asks the user), or null.
    this.problem = null;
    this.synthetic = { audio: false, video: false };
    this.sharesScreen = false;
    navigator.mediaDevices?.addEventListener?.("devicechange", () =>
      this.dispatchEvent(new Event("devices")));
  }

  // Resolves when `stream` has a track of each kind. If the user has not answered the browser's
  // question by then, the synthetic ones stand in until the answer comes.
  // `chosen` holds the ids of remembered devices: {audio, video}.
  async open({ synthetic = false, initials = "", chosen = {} } = {}) {
    this.#initials = initials;
    const real = synthetic ? refuse("asked") : askForDevices(chosen);
    const first = await Promise.race([real, after(kPatience).then(() => refuse("waiting"))]);
    this.#use(first);
    if (!first.audio) this.#standIn("audio", this.#makeTone());
    if (!first.video) this.#standIn("video", this.#makePicture(initials));
    if (first.problem === "waiting") real.then((late) => this.#arriveLate(late));
  }

  isEnabled(kind) {
    return this.#enabled[kind];
  }

  setEnabled(kind, enabled) {
    this.#enabled[kind] = enabled;
    for (const track of [...this.stream.getTracks(), this.#camera]) {
      if (track?.kind === kind) track.enabled = enabled || this.#isScreen(track);
    }
  }

  get canShareScreen() {
    return Boolean(navigator.mediaDevices?.getDisplayMedia);
  }

  // Which device a kind comes from; "" for a test signal.
  deviceOf(kind) {
    const track = kind === "video" && this.#camera ? this.#camera : this.#track(kind);
    return this.synthetic[kind] ? "" : track?.getSettings().deviceId ?? "";
  }

  // Answers whether it worked; what was there before stays if not.
  async useDevice(kind, deviceId) {
    try {
      const wish = { [kind]: deviceId ? { deviceId: { exact: deviceId } } : true };
      const [track] = (await navigator.mediaDevices.getUserMedia(wish)).getTracks();
      this.synthetic[kind] = false;
      this.#put(track);
      this.dispatchEvent(new Event("changed"));
      return true;
    } catch {
      return false;
    }
  }

  async shareScreen() {
    if (this.sharesScreen) return;
    let track;
    try {
      [track] = (await navigator.mediaDevices.getDisplayMedia({ video: true })).getVideoTracks();
    } catch (error) {
      // Otherwise the user thought better of it.
      if (error.name !== "NotAllowedError") this.dispatchEvent(new Event("noscreen"));
      return;
    }
    if (this.#closed) return track.stop();
    track.contentHint = "detail";
    this.#camera = this.#track("video");
    this.sharesScreen = true;
    this.#exchange(track, { keep: true });
    track.addEventListener("ended", () => this.stopScreen());
    this.dispatchEvent(new Event("changed"));
  }

  stopScreen() {
    if (!this.sharesScreen) return;
    const camera = this.#camera;
    this.#camera = null;
    this.sharesScreen = false;
    camera.enabled = this.#enabled.video;
    this.#exchange(camera);
    this.dispatchEvent(new Event("changed"));
  }

  close() {
    this.#closed = true;
    for (const track of this.stream.getTracks()) track.stop();
    this.#camera?.stop();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  #use({ audio, video, problem }) {
    this.problem = problem;
    if (audio) this.#put(audio);
    if (video) this.#put(video);
  }

  #standIn(kind, track) {
    if (!track) return;
    this.synthetic[kind] = true;
    this.#put(track);
  }

  #arriveLate(devices) {
    if (this.#closed) {
      devices.audio?.stop();
      devices.video?.stop();
      return;
    }
    this.#use(devices);
    for (const kind of ["audio", "video"]) if (devices[kind]) this.synthetic[kind] = false;
    this.dispatchEvent(new Event("changed"));
  }

  #track(kind) {
    return this.stream.getTracks().find((track) => track.kind === kind);
  }

  #isScreen(track) {
    return this.sharesScreen && track.kind === "video" && track !== this.#camera;
  }

  #put(track) {
    track.enabled = this.#enabled[track.kind];
    this.#watch(track);
    if (track.kind === "video" && this.#camera) {
      this.#camera.stop();
      this.#camera = track;
    } else {
      this.#exchange(track);
    }
  }

  #exchange(track, { keep = false } = {}) {
    const old = this.#track(track.kind);
    if (old) {
      this.stream.removeTrack(old);
      if (!keep) old.stop();
    }
    this.stream.addTrack(track);
    if (old) this.dispatchEvent(new CustomEvent("replaced", { detail: track }));
  }

  // A device that is pulled out: another one of its kind, or else the test signal.
  #watch(track) {
    const { kind } = track;
    track.addEventListener("ended", async () => {
      if (this.#closed || (this.#track(kind) !== track && this.#camera !== track)) return;
      if (await this.useDevice(kind, "")) return;
      const stand = kind === "audio" ? this.#makeTone() : this.#makePicture(this.#initials);
      this.synthetic[kind] = true;
      if (stand) this.#put(stand);
      this.problem = "missing";
      this.dispatchEvent(new Event("changed"));
    });
  }

  #makeTone() {
    if (!window.AudioContext) return null;
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const loudness = new GainNode(context, { gain: kLoudness });
    const tone = new OscillatorNode(context, { frequency: 330 });
    const swell = new OscillatorNode(context, { frequency: 0.4 });
    const swellDepth = new GainNode(context, { gain: kLoudness / 2 });
    tone.connect(loudness).connect(out);
    swell.connect(swellDepth).connect(loudness.gain);
    tone.start();
    swell.start();
    // Browsers keep audio silent until the user has touched the page.
    const wake = () => context.resume();
    for (const type of ["pointerdown", "keydown"]) addEventListener(type, wake);
    this.#cleanups.push(() => {
      for (const type of ["pointerdown", "keydown"]) removeEventListener(type, wake);
      context.close();
    });
    return out.stream.getAudioTracks()[0];
  }

  #makePicture(initials) {
    const canvas = document.createElement("canvas");
    canvas.width = kWidth;
    canvas.height = kHeight;
    const paint = canvas.getContext("2d");
    const hue = Math.floor(Math.random() * 360);
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const draw = () =>
      drawPicture(paint, { hue, initials, seconds: still.matches ? 0 : performance.now() / 1000 });
    draw();
    const timer = setInterval(draw, 1000 / kFramesPerSecond);
    this.#cleanups.push(() => clearInterval(timer));
    return canvas.captureStream(kFramesPerSecond).getVideoTracks()[0];
  }
}

const refuse = async (problem) => ({ audio: null, video: null, problem });

// What the machine has, as far as the browser tells: [{deviceId, kind, label}].
export async function listDevices() {
  try {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ deviceId }) => deviceId !== "");
  } catch {
    return [];
  }
}

async function askForDevices(chosen) {
  if (!navigator.mediaDevices?.getUserMedia) {
    return refuse(window.isSecureContext ? "unsupported" : "insecure");
  }
  let problem = null;
  // A machine may have only one of the two; a missing one fails the whole question.
  const exactly = (deviceId) => (deviceId ? { deviceId: { exact: deviceId } } : true);
  const wishes = [{ audio: true, video: true }, { video: true }, { audio: true }];
  if (chosen.audio || chosen.video) {
    // Fails when one of them is not there today; that is no problem worth a word.
    wishes.unshift({ audio: exactly(chosen.audio), video: exactly(chosen.video) });
  }
  for (const wish of wishes) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wish);
      return {
        audio: stream.getAudioTracks()[0] ?? null,
        video: stream.getVideoTracks()[0] ?? null,
        problem,
      };
    } catch (error) {
      if (error.name !== "OverconstrainedError") problem ??= problemOf(error);
      if (problem === "denied") break;
    }
  }
  return refuse(problem ?? "missing");
}

function problemOf(error) {
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return "denied";
  if (error.name === "NotReadableError" || error.name === "AbortError") return "busy";
  return "missing";
}

function drawPicture(paint, { hue, initials, seconds }) {
  const sky = paint.createLinearGradient(0, 0, kWidth, kHeight);
  sky.addColorStop(0, `hsl(${hue} 45% 30%)`);
  sky.addColorStop(1, `hsl(${(hue + 50) % 360} 50% 18%)`);
  paint.fillStyle = sky;
  paint.fillRect(0, 0, kWidth, kHeight);
  drawWaves(paint, hue, seconds);
  paint.textAlign = "center";
  paint.textBaseline = "middle";
  paint.fillStyle = "rgb(255 255 255 / 90%)";
  paint.font = "600 110px system-ui, sans-serif";
  paint.fillText(initials, kWidth / 2, kHeight / 2 - 20);
  paint.font = "28px ui-monospace, monospace";
  paint.fillText(new Date().toTimeString().slice(0, 8), kWidth / 2, kHeight / 2 + 70);
}

function drawWaves(paint, hue, seconds) {
  for (let wave = 0; wave < 3; wave += 1) {
    paint.beginPath();
    paint.moveTo(0, kHeight);
    for (let x = 0; x <= kWidth; x += 16) {
      const swing = Math.sin(x / (90 + 30 * wave) + seconds * (0.9 + 0.4 * wave));
      paint.lineTo(x, kHeight - 50 - 26 * wave + 20 * swing);
    }
    paint.lineTo(kWidth, kHeight);
    paint.fillStyle = `hsl(${(hue + 30 * wave) % 360} 60% 55% / 22%)`;
    paint.fill();
  }
}
