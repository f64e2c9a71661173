// What the protocols' public compliance suites ask of a server of Engine.IO 3 and 4 and of Socket.IO
// 5, in our own words, against tests/interop/conformance_server. CONFORMANCE_SERVER names the
// program; without it there is nothing to test.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import readline from "node:readline";
import { after, before, test } from "node:test";
import WebSocket from "ws";

const kProgram = process.env.CONFORMANCE_SERVER;
const kPatience = 10_000;
// The suites have 300 and 200; who shares a core with others may be late.
const kPingInterval = 800;
const kPingTimeout = 600;
const kSeparator = "\x1e";

const options = { skip: kProgram ? false : "CONFORMANCE_SERVER is not set", timeout: 40_000 };
let server;
let http;

before(async () => {
  if (!kProgram) return;
  server = spawn(kProgram, ["0", `${kPingInterval}`, `${kPingTimeout}`], { stdio: ["ignore", "pipe", "inherit"] });
  [http] = await once(readline.createInterface({ input: server.stdout }), "line");
});
after(() => server?.kill());

const later = (time) => new Promise((resolve) => { setTimeout(resolve, time); });

// A path with a query; `form` holds what is to differ: {EIO: undefined} leaves it out.
function address(path, form) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(form)) {
    if (value !== undefined) query.set(name, value);
  }
  return `${path}?${query}`;
}

async function ask(target, init) {
  const response = await fetch(http + target, init);
  return { status: response.status, text: await response.text(), headers: response.headers };
}

// A WebSocket whose messages are kept from the first byte on.
class Socket {
  constructor(target) {
    this.messages = [];
    this.waiting = [];
    this.socket = new WebSocket(http.replace("http", "ws") + target);
    this.socket.binaryType = "arraybuffer";
    this.opened = once(this.socket, "open");
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => { this.socket.on("close", resolve); });
    this.socket.on("error", () => {});
    this.socket.on("message", (data, isBinary) => {
      const message = isBinary ? [...new Uint8Array(data)] : data.toString();
      const taker = this.waiting.shift();
      if (taker) taker(message);
      else this.messages.push(message);
    });
  }

  send(...messages) {
    for (const message of messages) {
      this.socket.send(Array.isArray(message) ? Uint8Array.from(message) : message);
    }
  }

  next() {
    if (this.messages.length > 0) return this.messages.shift();
    return within("a message", new Promise((resolve) => { this.waiting.push(resolve); }));
  }

  // The next one that is no ping of the server.
  async said() {
    for (;;) {
      const message = await this.next();
      if (message !== "2") return message;
    }
  }

  async expect(...messages) {
    for (const message of messages) assert.deepEqual(await this.said(), message);
  }

  ends() { return within("the end", this.closed); }
  close() { this.socket.terminate(); }
}

function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no sign of ${what}`)), kPatience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The two protocols of Engine.IO on one path.
const kDialects = [
  { version: 3, path: "/engine.io/" },
  { version: 4, path: "/engine.io/" },
  { version: 4, path: "/socket.io/" },
].map((dialect) => ({
  ...dialect,
  name: `Engine.IO ${dialect.version} on ${dialect.path}`,
  pack: (...packets) => (dialect.version === 4 ? packets.join(kSeparator)
    : packets.map((packet) => `${packet.length}:${packet}`).join("")),
  target: (transport, form = {}) =>
    address(dialect.path, { EIO: dialect.version, transport, ...form }),
  async begin(form) {
    const { text } = await ask(this.target("polling", form));
    const { sid } = JSON.parse(text.slice(text.indexOf("{")));
    const target = this.target("polling", { sid });
    return {
      sid,
      poll: () => ask(target),
      post: (body, init) => ask(target, { method: "POST", body, ...init }),
      socket: () => new Socket(this.target("websocket", { sid })),
    };
  },
}));

for (const dialect of kDialects) {
  const { name, version, pack } = dialect;
  const echoes = dialect.path === "/engine.io/";

  test(`${name}: a poll opens a session`, options, async () => {
    const { status, text } = await ask(dialect.target("polling"));
    assert.equal(status, 200);
    const packet = version === 3 ? text.slice(text.indexOf(":") + 1) : text;
    if (version === 3) assert.equal(text, `${packet.length}:${packet}`);
    assert.equal(packet[0], "0");
    const { sid, ...rest } = JSON.parse(packet.slice(1));
    assert.match(sid, /^[\w-]{20}$/);
    assert.deepEqual(rest, {
      upgrades: ["websocket"], pingInterval: kPingInterval, pingTimeout: kPingTimeout,
      ...(version === 4 && { maxPayload: 1_000_000 }),
    });
  });

  test(`${name}: a WebSocket opens a session that cannot be upgraded`, options, async () => {
    const socket = new Socket(dialect.target("websocket"));
    const packet = await socket.next();
    assert.equal(packet[0], "0");
    assert.deepEqual(JSON.parse(packet.slice(1)).upgrades, []);
    socket.close();
  });

  test(`${name}: what is no handshake is refused`, options, async () => {
    const wrong = [{ EIO: undefined }, { EIO: "abc" }, { transport: undefined },
      { transport: "abc" }];
    for (const form of wrong) {
      assert.equal((await ask(dialect.target("polling", form))).status, 400);
      const socket = new Socket(dialect.target("websocket", form));
      await socket.ends();
      assert.deepEqual(socket.messages, []);
    }
    for (const method of ["POST", "PUT"]) {
      assert.equal((await ask(dialect.target("polling"), { method })).status, 400);
    }
  });

  test(`${name}: what is no packet closes the session`, options, async () => {
    const session = await dialect.begin();
    assert.equal((await session.post("abc")).status, 400);
    assert.equal((await session.poll()).status, 400);
    const socket = new Socket(dialect.target("websocket"));
    await socket.next();
    socket.send("abc");
    await socket.ends();
  });

  test(`${name}: there is one poll at a time`, options, async () => {
    const session = await dialect.begin();
    const answers = await Promise.all([session.poll(), session.poll()]);
    const [first, second] = answers.sort((one, other) => one.status - other.status);
    assert.deepEqual([first.status, first.text], [200, pack("1")]);
    assert.ok([400, 500].includes(second.status));
    assert.equal((await session.poll()).status, 400);
  });

  test(`${name}: a poll that is given up closes the session`, options, async () => {
    const session = await dialect.begin();
    const { hostname, port } = new URL(http);
    const socket = net.connect(port, hostname).resume();
    socket.end(`GET ${dialect.target("polling", { sid: session.sid })} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await within("the end", once(socket, "close"));
    assert.equal((await session.poll()).status, 400);
  });

  test(`${name}: both sides can close`, options, async () => {
    const session = await dialect.begin();
    const poll = session.poll();
    await later(20); // a poll that comes after the end is refused
    assert.equal((await session.post(pack("1"))).status, 200);
    assert.equal((await poll).text, pack("6"));
    assert.equal((await session.poll()).status, 400);
    const socket = new Socket(dialect.target("websocket"));
    await socket.next();
    socket.send("1");
    await socket.ends();
  });

  test(`${name}: the heart beats by polling`, options, async () => {
    const session = await dialect.begin();
    for (let beat = 0; beat < 3; beat += 1) {
      if (version === 3) await session.post(pack("2"));
      assert.equal((await session.poll()).text, pack(version === 3 ? "3" : "2"));
      if (version === 4) assert.equal((await session.post("3")).status, 200);
    }
  });

  test(`${name}: the heart beats over a WebSocket`, options, async () => {
    const socket = new Socket(dialect.target("websocket"));
    await socket.next();
    // On /socket.io/ whoever does not CONNECT is gone after four pings.
    if (!echoes) socket.send("40"), await socket.said(), await socket.said();
    for (let beat = 0; beat < 4; beat += 1) {
      if (version === 3) socket.send("2");
      assert.equal(await socket.next(), version === 3 ? "3" : "2");
      if (version === 4) socket.send("3");
    }
    socket.close();
  });

  test(`${name}: who does not answer is gone in time`, options, async () => {
    const began = performance.now();
    const session = await dialect.begin();
    while ((await session.poll()).status === 200); // a ping at most, and then how it ends
    assert.ok(performance.now() - began >= kPingInterval + kPingTimeout);
    assert.equal((await session.post(pack(version === 3 ? "2" : "3"))).status, 400);
    await new Socket(dialect.target("websocket")).ends();
  });

  test(`${name}: polling becomes a WebSocket, once`, options, async () => {
    const session = await dialect.begin();
    const socket = session.socket();
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    assert.equal((await session.poll()).text, pack("6"));
    socket.send("5");
    await later(20);
    assert.equal((await session.poll()).status, 400);
    await session.socket().ends();
    if (echoes) {
      socket.send("4hello");
      await socket.expect("4hello");
    }
    assert.equal(socket.socket.readyState, WebSocket.OPEN);
    socket.close();
  });

  if (!echoes) continue;

  test(`${name}: messages go both ways by polling`, options, async () => {
    const base64 = version === 3 ? "b4AQIDBA==" : "bAQIDBA==";
    const session = await dialect.begin({ b64: 1 });
    for (const packets of [["4hello"], ["4one", "4two", "4three"], ["4hello", base64]]) {
      const { status, text } = await session.post(pack(...packets));
      assert.deepEqual([status, text], [200, "ok"]);
      assert.equal((await session.poll()).text, pack(...packets));
    }
  });

  test(`${name}: messages go both ways over a WebSocket`, options, async () => {
    const socket = new Socket(dialect.target("websocket"));
    await socket.next();
    const binary = version === 3 ? [4, 1, 2, 3, 4] : [1, 2, 3, 4];
    socket.send("4hello", binary, "4\u{1f600}");
    await socket.expect("4hello", binary, "4\u{1f600}");
    socket.close();
  });
}

test("Engine.IO 3: who takes bytes is polled in bytes, and may post them", options, async () => {
  const session = await kDialects[0].begin();
  const body = Uint8Array.from([0, 6, 255, ...Buffer.from("4hello"), 1, 5, 255, 4, 1, 2, 3, 4]);
  const headers = { "Content-Type": "application/octet-stream" };
  assert.equal((await session.post(body, { headers })).text, "ok");
  const target = kDialects[0].target("polling", { sid: session.sid });
  const polled = await fetch(http + target);
  assert.equal(polled.headers.get("content-type"), "application/octet-stream");
  assert.deepEqual(new Uint8Array(await polled.arrayBuffer()), body);
});

// --- Socket.IO 5 ---

async function engine() {
  const socket = new Socket(kDialects[2].target("websocket"));
  await socket.next();
  return socket;
}

async function connected() {
  const socket = await engine();
  socket.send("40");
  assert.match(await socket.said(), /^40\{"sid":"[^"]+"\}$/);
  await socket.expect('42["auth",{}]');
  return socket;
}

test("Socket.IO 5: namespaces are entered with what the client says of itself", options,
  async () => {
    for (const [place, mark] of [["", ""], ["/custom,", "/custom,"]]) {
      for (const auth of ["", '{"token":"123"}']) {
        const socket = await engine();
        socket.send(`40${place}${auth}`);
        const answer = await socket.said();
        assert.ok(answer.startsWith(`40${mark}{`), answer);
        assert.deepEqual(Object.keys(JSON.parse(answer.slice(2 + mark.length))), ["sid"]);
        await socket.expect(`42${mark}["auth",${auth || "{}"}]`);
        socket.close();
      }
    }
  });

test("Socket.IO 5: a namespace that does not exist is refused", options, async () => {
  const socket = await engine();
  socket.send("40/random");
  await socket.expect('44/random,{"message":"Invalid namespace"}');
  socket.close();
});

test("Socket.IO 5: who does not connect is closed", options, async () => {
  const socket = await engine();
  const begun = Date.now();
  const answering = setInterval(() => socket.send("3"), 100);
  await socket.ends();
  clearInterval(answering);
  assert.ok(Date.now() - begun >= 900);
});

test("Socket.IO 5: leaving a namespace leaves the connection", options, async () => {
  const alone = await connected();
  alone.send("41");
  assert.equal(await alone.next(), "2");
  alone.close();
  const socket = await connected();
  socket.send("40/custom");
  await socket.said();
  await socket.said();
  socket.send("41/custom", '42["message","still here"]');
  await socket.expect('42["message-back","still here"]');
  socket.close();
});

test("Socket.IO 5: events come back, with attachments and acknowledgements", options, async () => {
  const socket = await connected();
  const places = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
  socket.send('42["message",1,"2",{"3":[true]}]');
  await socket.expect('42["message-back",1,"2",{"3":[true]}]');
  socket.send(`452-["message",${places}]`, [1, 2, 3], [4, 5, 6]);
  await socket.expect(`452-["message-back",${places}]`, [1, 2, 3], [4, 5, 6]);
  socket.send('42456["message-with-ack",1,"2",{"3":[false]}]');
  await socket.expect('43456[1,"2",{"3":[false]}]');
  socket.send(`452-789["message-with-ack",${places}]`, [1, 2, 3], [4, 5, 6]);
  await socket.expect(`462-789[${places}]`, [1, 2, 3], [4, 5, 6]);
  socket.close();
});

test("Socket.IO 5: what is no packet closes the connection", options, async () => {
  const bad = ["4abc", "42{}", '42abc["message-with-ack",1]', '42["connect"]', "40"];
  for (const packet of bad) {
    const socket = await connected();
    socket.send(packet);
    await socket.ends();
  }
  const fresh = await engine();
  fresh.send("4abc");
  await fresh.ends();
});
