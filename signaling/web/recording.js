// A recording of the call, made here and kept here: all pictures in one, all voices mixed.

import { Tape } from "./tape.js";
import { after } from "./waiting.js";

const kWidth = 1280;
const kHeight = 720;
const kFramesPerSecond = 15;
// Until then the machine's sound has started, or there is none.
const kPatience = 4_000;

export class CallRecorder {
  #pictures;
  #canvas = Object.assign(document.createElement("canvas"), { width: kWidth, height: kHeight });
  #paint = this.#canvas.getContext("2d");
  #timer = 0;
  #audio = null;
  #mix = null;
  #sources = new Map();
  #tape = null;
  #wanted = false;

  static get supported() {
    return Boolean(window.MediaRecorder && HTMLCanvasElement.prototype.captureStream);
  }

  // `pictures` answers what there is to see and hear now: [{video, name, covered, own}].
  constructor(pictures) {
    this.#pictures = pictures;
  }

  get running() {
    return this.#tape !== null;
  }

  // Whether the voices are in it.
  get hears() {
    return this.#mix !== null;
  }

  // Resolves once it records, with whether it does: stop() may have come before. Rejects when the
  // browser cannot record.
  async start() {
    this.#wanted = true;
    this.#audio = await runningAudio();
    if (this.#wanted) {
      try {
        this.#record();
      } catch (error) {
        this.#close();
        throw error;
      }
    } else {
      this.#close();
    }
    return this.running;
  }

  stop() {
    this.#wanted = false;
    this.#tape?.stop();
  }

  // Resolves with {blob, failed} at the end of what start() began.
  async finished() {
    const { done } = this.#tape;
    try {
      return await done;
    } finally {
      this.#tape = null;
      this.#close();
    }
  }

  #record() {
    const stream = this.#canvas.captureStream(kFramesPerSecond);
    if (this.#audio) {
      this.#mix = this.#audio.createMediaStreamDestination();
      stream.addTrack(this.#mix.stream.getAudioTracks()[0]);
    }
    this.#draw();
    this.#tape = new Tape(stream);
    this.#timer = setInterval(() => this.#draw(), 1000 / kFramesPerSecond);
  }

  #close() {
    clearInterval(this.#timer);
    this.#audio?.close();
    this.#audio = null;
    this.#mix = null;
    this.#sources.clear();
  }

  #draw() {
    const shown = this.#pictures();
    const columns = Math.ceil(Math.sqrt(shown.length));
    const rows = Math.ceil(shown.length / columns);
    const [width, height] = [kWidth / columns, kHeight / rows];
    this.#paint.fillStyle = "#0b1017";
    this.#paint.fillRect(0, 0, kWidth, kHeight);
    shown.forEach((picture, index) => {
      const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
      this.#drawPicture(picture, x, y, width, height);
      this.#hear(picture.video.srcObject);
    });
  }

  #drawPicture({ video, name, covered }, x, y, width, height) {
    const scale = Math.min(width / (video.videoWidth || 1), height / (video.videoHeight || 1));
    if (!covered && video.videoWidth > 0) {
      const [wide, high] = [video.videoWidth * scale, video.videoHeight * scale];
      this.#paint.drawImage(video, x + (width - wide) / 2, y + (height - high) / 2, wide, high);
    }
    this.#paint.fillStyle = "#ffffff";
    this.#paint.font = "24px system-ui, sans-serif";
    this.#paint.fillText(name, x + 16, y + height - 16);
  }

  // Each voice once; a new track of the same member is a new voice.
  #hear(stream) {
    const track = stream?.getAudioTracks()[0];
    if (!track || !this.#mix || this.#sources.has(track.id)) return;
    const source = this.#audio.createMediaStreamSource(new MediaStream([track]));
    source.connect(this.#mix);
    this.#sources.set(track.id, source);
  }
}

// The context that mixes, or null: in Firefox it stays suspended on a machine without a sound
// device, its track has nothing to record, and the pictures would wait for it in vain.
async function runningAudio() {
  if (!window.AudioContext) return null;
  const audio = new AudioContext();
  const runs = new Promise((done) => {
    const look = () => audio.state === "running" && done();
    audio.addEventListener("statechange", look);
    look();
  });
  await Promise.race([runs, after(kPatience)]);
  if (audio.state === "running") return audio;
  audio.close();
  return null;
}
