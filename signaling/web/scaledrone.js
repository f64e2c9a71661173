// The browser side of ScaleDrone's version 3, compatible with the SDK of that name as far as rooms,
// messages, members, history and tokens go. A page that loads it from a Turnpike server talks to
// that server; the option `url` names another one.
//
//   <script src="/scaledrone.min.js"></script>
//   const drone = new ScaleDrone("any channel id");
//   const room = drone.subscribe("observable-1");
//   room.on("data", (message, member) => ...);

(() => {
  "use strict";

  const kAbnormal = 1006; // RFC 6455 section 7.4.1: no close frame came
  const kMostAttempts = 26;
  const kObservable = "observable-";

  const script = document.currentScript;
  const defaultUrl = () => {
    const base = new URL(script?.src || location.href, location.href);
    const protocol = base.protocol === "https:" ? "wss:" : "ws:";
    return `${protocol}//${base.host}/v3/websocket`;
  };

  class Emitter {
    #listeners = new Map();

    on(event, listener) {
      if (!this.#listeners.has(event)) this.#listeners.set(event, []);
      this.#listeners.get(event).push(listener);
      return this;
    }

    once(event, listener) {
      const wrapper = (...details) => {
        this.off(event, wrapper);
        listener(...details);
      };
      return this.on(event, wrapper);
    }

    off(event, listener) {
      if (event === undefined) this.#listeners.clear();
      else if (listener === undefined) this.#listeners.delete(event);
      else {
        const left = (this.#listeners.get(event) ?? []).filter((other) => other !== listener);
        this.#listeners.set(event, left);
      }
      return this;
    }

    has(event) {
      return (this.#listeners.get(event) ?? []).length > 0;
    }

    trigger(event, ...details) {
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...details);
    }
  }

  class Room extends Emitter {
    constructor(drone, name, historyCount) {
      super();
      this.name = name;
      this.drone = drone;
      this.historyCount = historyCount;
      this.members = [];
      this.forget();
    }

    forget() {
      this.members = [];
      this.history = [];
      this.nextHistory = 0;
    }

    unsubscribe() {
      this.off();
      this.drone.unsubscribe(this.name);
    }

    take(push) {
      const { type, data } = push;
      if (type === "observable_members") {
        this.members = [...data];
        this.trigger("members", data);
      } else if (type === "observable_member_join") {
        this.members.push(data);
        this.trigger("member_join", data);
      } else if (type === "observable_member_leave") {
        this.members = this.members.filter(({ id }) => id !== data.id);
        this.trigger("member_leave", data);
      } else if (type === "publish") {
        this.takeMessage(push);
      } else if (type === "history_message") {
        this.takeHistory(push);
      }
    }

    takeMessage({ message: data, id, timestamp, client_id: clientId }) {
      const message = { data, id, timestamp, clientId };
      if (this.name.startsWith(kObservable)) {
        message.member = this.members.find((member) => member.id === clientId) ?? null;
      }
      this.trigger("message", message);
      this.trigger("data", data, message.member);
    }

    // In the order of their indices, however they come.
    takeHistory({ index, message: data, id, timestamp, client_id: clientId }) {
      this.history[index] = { data, id, timestamp, clientId };
      while (this.history[this.nextHistory]) {
        this.trigger("history_message", this.history[this.nextHistory]);
        this.nextHistory += 1;
      }
    }
  }

  class ScaleDrone extends Emitter {
    #options;
    #channel;
    #socket = null;
    #ready = false; // subscribing and publishing will be understood
    #waiting = []; // texts, until it is ready
    #answers = new Map(); // callback number -> function
    #nextCallback = 0;
    #attempts = 0;
    #ended = false;
    #wasOpen = false;
    #lost = false;
    #token = null;

    constructor(channel, options = {}) {
      super();
      if (typeof channel !== "string" || !channel) throw new Error("The channel id is a text");
      this.#channel = channel;
      this.#options = { autoReconnect: true, url: null, data: null, ...options };
      this.rooms = {};
      this.clientId = undefined;
      this.#connect();
    }

    subscribe(name, { historyCount } = {}) {
      if (typeof name !== "string" || !name) throw new Error("The name of a room is a text");
      const room = new Room(this, name, historyCount);
      this.rooms[name] = room;
      if (this.#ready) this.#enter(room);
      return room;
    }

    unsubscribe(name) {
      if (typeof name !== "string" || !name) throw new Error("The name of a room is a text");
      delete this.rooms[name];
      if (this.#ready) this.#send({ type: "unsubscribe", room: name });
    }

    publish({ room, message } = {}) {
      if (!room) throw new Error("publish needs a room");
      if (!message) throw new Error("publish needs a message");
      const text = { type: "publish", room, message };
      if (this.#ready) this.#send(text);
      else this.#waiting.push(text);
    }

    authenticate(token) {
      if (!token) throw new Error("authenticate needs a token");
      this.#token = token;
      if (this.clientId !== undefined && !this.#lost) this.#showToken();
      else this.once("open", (error) => error || this.#showToken());
    }

    close() {
      this.#ended = true;
      this.#socket?.close();
    }

    #connect() {
      const socket = new WebSocket(this.#options.url || defaultUrl());
      this.#socket = socket;
      socket.onopen = () => {
        const { data } = this.#options;
        this.#ask({ type: "handshake", channel: this.#channel, version: 2, client_data: data },
          (error, answer) => this.#greeted(error, answer));
      };
      socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
      socket.onerror = (event) => this.#lost || this.trigger("error", event);
      socket.onclose = (event) => this.#closed(event);
    }

    #greeted(error, answer) {
      if (error) return this.#tell("open", error);
      const again = this.#wasOpen;
      this.clientId = answer.client_id;
      this.#wasOpen = true;
      this.#lost = false;
      this.#attempts = 0;
      if (!answer.require_auth) this.#begin();
      else if (again && this.#token) this.#showToken();
      if (again) this.trigger("reconnect");
      else this.#tell("open");
    }

    #showToken() {
      this.#ask({ type: "authenticate", token: this.#token }, (error) => {
        if (!error && !this.#ready) this.#begin();
        this.#tell("authenticate", error);
      });
    }

    #begin() {
      this.#ready = true;
      for (const room of Object.values(this.rooms)) this.#enter(room);
      for (const text of this.#waiting.splice(0)) this.#send(text);
    }

    #enter(room) {
      room.forget();
      const count = room.historyCount;
      const request = { type: "subscribe", room: room.name, history: count, history_count: count };
      this.#ask(request, (error) => {
        if (error && !room.has("open")) this.trigger("error", error);
        else room.trigger("open", error);
      });
    }

    #closed(event) {
      this.#ready = false;
      this.#answers.clear();
      const comesBack = event.code === kAbnormal && this.#options.autoReconnect && !this.#ended;
      if (!comesBack || this.#attempts >= kMostAttempts) {
        this.trigger("close", event);
        return;
      }
      if (!this.#lost) this.trigger("disconnect");
      this.#lost = true;
      const delay = this.#attempts * 1000 * (0.5 + Math.random());
      this.#attempts += 1;
      setTimeout(() => this.#ended || this.#connect(), delay);
    }

    #take(push) {
      const isAnswer = push.callback !== undefined && this.#answers.has(push.callback);
      const error = push.error ? new Error(push.error) : undefined;
      if (isAnswer) {
        const answer = this.#answers.get(push.callback);
        this.#answers.delete(push.callback);
        answer(error, push);
      } else if (error) {
        this.trigger("error", error);
      } else {
        this.rooms[push.room]?.take(push);
      }
    }

    // An error that nobody listens to where it belongs is the drone's.
    #tell(event, error) {
      if (error && !this.has(event)) this.trigger("error", error);
      else this.trigger(event, error);
    }

    #ask(request, answer) {
      const callback = this.#nextCallback;
      this.#nextCallback += 1;
      this.#answers.set(callback, answer);
      this.#send({ ...request, callback });
    }

    #send(request) {
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request));
    }
  }

  window.ScaleDrone = ScaleDrone;
  window.Scaledrone = ScaleDrone;
})();
