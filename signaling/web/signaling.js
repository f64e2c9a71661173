// A client of the native signaling protocol (docs/signaling.md): one room over one WebSocket, and
// the same session again on a new WebSocket when the old one was lost.
//
// Dispatches every message of the server as an event of its type ("joined", "resumed",
// "member-joined", "message", ...) with the message as `detail`, and
//   "connection"  {state: "connecting" | "open" | "waiting", delay}   the WebSocket's state
//   "refused"     {code, message}   the join was answered with an error; nothing more comes
//   "ended"       {code}            closed for good by the server

const kFirstDelay = 500;
const kLongestDelay = 10_000;
const kPingEvery = 15_000;
const kAnswerWithin = 10_000;
const kLongestOutbox = 500;

// Codes after which the same session may not come back: resumed elsewhere, left, removed, abuse.
const kFinalCodes = new Set([4001, 4002, 4003, 1008]);

export class SignalingClient extends EventTarget {
  #url;
  #join;
  #socket = null;
  #session = "";
  #received = 0;
  #inside = false;
  #outbox = [];
  #attempts = 0;
  #retryTimer = 0;
  #pingTimer = 0;
  #answerTimer = 0;
  #over = false;

  constructor({ url, room, name, invitation }) {
    super();
    this.#url = url;
    this.#join = { type: "join", id: "join", room };
    if (name) this.#join.name = name;
    if (invitation) this.#join.invitation = invitation;
  }

  get over() {
    return this.#over;
  }

  connect() {
    if (this.#over || this.#socket) return;
    clearTimeout(this.#retryTimer);
    this.#announce("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#expectAnswer();
    socket.addEventListener("open", () => this.#onOpen());
    socket.addEventListener("message", (event) => this.#onText(event.data));
    socket.addEventListener("close", (event) => this.#onClose(socket, event.code));
  }

  // To one member, or to everybody else when `to` is undefined. Kept while the connection is lost.
  send(to, data) {
    const message = { type: "send", data };
    if (to !== undefined) message.to = to;
    if (this.#inside) {
      this.#write(message);
    } else if (this.#session && this.#outbox.length < kLongestOutbox) {
      this.#outbox.push(message);
    }
  }

  askForIceServers() {
    if (this.#inside) this.#write({ type: "ice" });
  }

  // For good: the server frees this member's relay allocations.
  leave() {
    if (this.#over) return;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#write({ type: "leave" });
    this.#finish();
  }

  #onOpen() {
    if (this.#session) {
      const [session, received] = [this.#session, this.#received];
      this.#write({ type: "resume", id: "resume", session, received });
    } else {
      this.#write(this.#join);
    }
  }

  #onText(text) {
    this.#heard();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    // A resumed session sends again what may have been lost; what we have seen is not shown twice.
    if (typeof message.seq === "number" && message.type !== "joined") {
      if (message.seq <= this.#received) return;
      this.#received = message.seq;
    }
    this.#take(message);
  }

  #take(message) {
    if (message.type === "joined") {
      this.#session = message.session;
      this.#received = message.seq ?? 0;
      this.#outbox = [];
      this.#entered();
    } else if (message.type === "resumed") {
      this.#entered();
    } else if (message.type === "error") {
      this.#onError(message);
      return;
    } else if (message.type === "pong") {
      return;
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  #entered() {
    this.#inside = true;
    this.#attempts = 0;
    this.#announce("open");
    for (const message of this.#outbox.splice(0)) this.#write(message);
  }

  #onError({ id, code, message }) {
    if (id === "resume") {
      // Too late: everybody saw us leave. Enter again as somebody new.
      this.#session = "";
      this.#outbox = [];
      this.#write(this.#join);
    } else if (id === "join") {
      this.#finish();
      this.dispatchEvent(new CustomEvent("refused", { detail: { code, message } }));
    } else {
      console.warn(`signaling: ${code}: ${message}`);
    }
  }

  #onClose(socket, code) {
    if (socket !== this.#socket) return;
    this.#drop();
    if (this.#over) return;
    if (kFinalCodes.has(code)) {
      this.#finish();
      this.dispatchEvent(new CustomEvent("ended", { detail: { code } }));
      return;
    }
    this.#retryLater();
  }

  // Exponential, with jitter: a server that restarts must not meet all its clients in one instant.
  #retryLater() {
    const ceiling = Math.min(kLongestDelay, kFirstDelay * 2 ** this.#attempts);
    const delay = ceiling * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#announce("waiting", delay);
    this.#retryTimer = setTimeout(() => this.connect(), delay);
  }

  #announce(state, delay = 0) {
    this.dispatchEvent(new CustomEvent("connection", { detail: { state, delay } }));
  }

  #write(message) {
    this.#socket.send(JSON.stringify(message));
  }

  // A dead network gives no close event for minutes, so silence is asked about and then believed.
  #heard() {
    clearTimeout(this.#answerTimer);
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => {
      this.#write({ type: "ping" });
      this.#expectAnswer();
    }, kPingEvery);
  }

  #expectAnswer() {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = setTimeout(() => {
      const socket = this.#socket;
      this.#onClose(socket, 1006);
      socket.close();
    }, kAnswerWithin);
  }

  #drop() {
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#answerTimer);
    this.#inside = false;
    this.#socket = null;
  }

  #finish() {
    this.#over = true;
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#drop();
    socket?.close();
  }
}
