// What a MediaRecorder makes of a stream, as one Blob.

const kRequestEvery = 1_000;

export class Tape {
  #recorder;
  #timer;
  #chunks = [];
  #type = "";
  #failed = false;

  // Records from now on. Throws what MediaRecorder throws when the browser cannot.
  constructor(stream, settings = {}) {
    this.#recorder = new MediaRecorder(stream, settings);
    this.#recorder.addEventListener("dataavailable", ({ data }) => this.#keep(data));
    this.#recorder.addEventListener("error", () => {
      this.#failed = true;
    });
    // Resolves with {blob, failed} when nothing more comes: after stop(), when the browser gave up
    // (`failed`), or when the stream ended.
    this.done = new Promise((done) => {
      this.#recorder.addEventListener("stop", () => done(this.#finish()));
    });
    this.#recorder.start();
    // Not start(milliseconds): Firefox hands pieces that became due only at the end over after its
    // "stop", when they were the beginning of the file. Pieces that are asked for come in order.
    this.#timer = setInterval(() => this.#request(), kRequestEvery);
  }

  // Answers what `done` is.
  stop() {
    clearInterval(this.#timer);
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    return this.done;
  }

  #request() {
    if (this.#recorder.state === "recording") this.#recorder.requestData();
  }

  #keep(data) {
    if (data.size === 0) return;
    this.#chunks.push(data);
    // The recorder's own mimeType is forgotten with the stop by Firefox.
    [this.#type] = data.type.split(";");
  }

  #finish() {
    clearInterval(this.#timer);
    const blob = new Blob(this.#chunks, { type: this.#type });
    return { blob, failed: this.#failed || blob.size === 0 };
  }
}
