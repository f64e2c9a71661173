// A recording of the call, made here and kept here: all pictures in one, all voices mixed.

const kWidth = 1280;
const kHeight = 720;
const kFramesPerSecond = 15;
const kChunkEvery = 1_000;

export class CallRecorder {
  #pictures;
  #canvas = Object.assign(document.createElement("canvas"), { width: kWidth, height: kHeight });
  #paint = this.#canvas.getContext("2d");
  #timer = 0;
  #audio = null;
  #mix = null;
  #sources = new Map();
  #recorder = null;
  #chunks = [];

  static get supported() {
    return Boolean(window.MediaRecorder && HTMLCanvasElement.prototype.captureStream);
  }

  // `pictures` answers what there is to see and hear now: [{video, name, covered, own}].
  constructor(pictures) {
    this.#pictures = pictures;
  }

  get running() {
    return this.#recorder !== null;
  }

  start() {
    this.#audio = new AudioContext();
    this.#mix = this.#audio.createMediaStreamDestination();
    this.#draw();
    const stream = this.#canvas.captureStream(kFramesPerSecond);
    stream.addTrack(this.#mix.stream.getAudioTracks()[0]);
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.addEventListener("dataavailable", ({ data }) => this.#chunks.push(data));
    this.#recorder.start(kChunkEvery);
    this.#timer = setInterval(() => this.#draw(), 1000 / kFramesPerSecond);
  }

  // Resolves with the Blob.
  stop() {
    const recorder = this.#recorder;
    this.#recorder = null;
    // Firefox forgets it with the stop.
    const [type] = recorder.mimeType.split(";");
    clearInterval(this.#timer);
    return new Promise((done) => {
      recorder.addEventListener("stop", () => {
        this.#audio.close();
        done(new Blob(this.#chunks.splice(0), { type }));
      });
      recorder.stop();
    });
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
    if (!track || this.#sources.has(track.id)) return;
    const source = this.#audio.createMediaStreamSource(new MediaStream([track]));
    source.connect(this.#mix);
    this.#sources.set(track.id, source);
  }
}
