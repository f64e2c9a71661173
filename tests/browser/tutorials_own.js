// The tutorials' own pages, made of their text: what their readers would copy out of them, changed
// where a reader has to (host, port, iceServers) and nowhere else. Each change must find what it
// changes exactly once.

import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

// Writes a folder for each tutorial below `folder`. ports: those of 000 and 001, 002, 003.
export async function writeTutorials(source, folder, settings) {
  const names = await readdir(source);
  const text = async (number) => {
    const name = names.find((one) => one.startsWith(`${number}_`));
    assert.ok(name, `${source} has no file ${number}_*`);
    return readFile(join(source, name), "utf8");
  };
  const makers = { "000": make000, "001": make001, "002": make002, "003": make003, "004": make004 };
  for (const [number, make] of Object.entries(makers)) {
    const files = make(await text(number), settings);
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, number, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
  }
}

function make000(text, { rawPort, iceServers }) {
  const script = change(withIceServers(oneBlock(text, "RTCPeerConnection"), iceServers),
    "ws://127.0.0.1:3000", `ws://127.0.0.1:${rawPort}`);
  const page = (name) => `<!DOCTYPE html><meta charset="utf-8"><title>000</title>
<video id="localVideo" autoplay muted></video><video id="remoteVideo" autoplay></video>
<script src="${name}"></script>`;
  return {
    "index.html": page("caller.js"),
    "caller.js": script,
    "callee.html": page("callee.js"),
    "callee.js": change(script, "var isCaller = true;", "var isCaller = false;"),
  };
}

// It names no iceServers.
function make001(text, { rawPort }) {
  return {
    "index.html": oneBlock(text, "remoteVideo\" src"),
    "index.js": change(oneBlock(text, "receiveOffer\", ({ offer })"),
      "http://localhost:3000", `http://localhost:${rawPort}`),
  };
}

function make002(text, { lobbyPort, iceServers }) {
  const script = between(text, "var video = ", "var static = ");
  return {
    "index.html": between(text, "<!DOCTYPE html>", "</html>"),
    "js/index.js": change(withIceServers(script, iceServers),
      "http://localhost:8181", `http://localhost:${lobbyPort}`),
  };
}

// It asks the server of its page.
function make003(text, { iceServers }) {
  return {
    "index.html": oneBlock(text, "gotoNextPage()\">Join"),
    "room.html": oneBlock(text, "WebRTC PeerConnection</title>"),
    "js/main.js": withIceServers(oneBlock(text, "var pcConfig"), iceServers),
    "css/main.css": oneBlock(text, "section#statistics"),
  };
}

// Once with the SDK of its authors, told whom to talk to, and once as it stands with ours.
function make004(text, { rawPort, iceServers }) {
  const script = withIceServers(oneBlock(text, "new ScaleDrone("), iceServers);
  const page = (sdk, name) => `<!DOCTYPE html><meta charset="utf-8"><title>004</title>
<video id="localVideo" autoplay muted></video><video id="remoteVideo" autoplay></video>
<script src="${sdk}"></script><script src="${name}"></script>`;
  return {
    "index.html": page("https://cdn.scaledrone.com/scaledrone.min.js", "told.js"),
    "told.js": change(script, "new ScaleDrone('87fYv4ncOoa0Cjne')",
      `new ScaleDrone('87fYv4ncOoa0Cjne', {url: 'ws://127.0.0.1:${rawPort}/v3/websocket'})`),
    "ours.html": page(`http://127.0.0.1:${rawPort}/scaledrone.min.js`, "script.js"),
    "script.js": script,
  };
}

// What current browsers ask of 000's page: they no longer make URLs of streams.
export function shimFor000() {
  const streams = new Map();
  const original = URL.createObjectURL;
  URL.createObjectURL = (object) => {
    if (!(object instanceof MediaStream)) return original.call(URL, object);
    streams.set(`stream:${object.id}`, object);
    return `stream:${object.id}`;
  };
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "src");
  Object.defineProperty(HTMLMediaElement.prototype, "src", {
    get,
    set(value) {
      if (streams.has(value)) this.srcObject = streams.get(value);
      else set.call(this, value);
    },
  });
}

// The scripts that the pages load from elsewhere, from npm's packages.
export async function foreignScripts() {
  const file = (name) => readFile(new URL(`node_modules/${name}`, import.meta.url), "utf8");
  return {
    "https://cdnjs.cloudflare.com/ajax/libs/socket.io/2.0.3/socket.io.js":
      await file("socket.io-client-2/dist/socket.io.js"),
    "https://webrtc.github.io/adapter/adapter-latest.js":
      await file("webrtc-adapter/out/adapter.js"),
    "https://cdn.scaledrone.com/scaledrone.min.js": await bundleScaleDrone(),
  };
}

// npm has the SDK for Node only; all that differs is its config.js.
async function bundleScaleDrone() {
  const config = { websocketUrl: "wss://api.scaledrone.com/v3/websocket", isBrowser: true };
  const modules = new Map();
  const add = async (path, content) => {
    if (modules.has(path)) return;
    modules.set(path, "");
    const text = content ?? (await readFile(path, "utf8"));
    modules.set(path, text);
    const from = createRequire(path);
    for (const [, name] of text.matchAll(/\brequire\(['"]([^'"]+)['"]\)/g)) {
      if (["ws", "sockjs-client", "util"].includes(name)) continue;
      const found = from.resolve(name);
      if (found.endsWith("scaledrone-node/config.js")) {
        await add(found, `module.exports = ${JSON.stringify(config)};`);
      } else if (/[/]lie[/]/.test(found)) {
        await add(found, "module.exports = Promise;");
      } else {
        await add(found);
      }
      modules.set(path, modules.get(path).replaceAll(`require('${name}')`,
        `require(${JSON.stringify(found)})`));
    }
  };
  const main = require.resolve("scaledrone-node");
  await add(main);
  const table = [...modules].map(([path, text]) =>
    `${JSON.stringify(path)}: (module, exports, require) => {${text}\n}`);
  return `(() => {
const modules = {${table.join(",\n")}};
const done = {};
const require = (path) => {
  if (!done[path]) {
    done[path] = { exports: {} };
    modules[path].call(window, done[path], done[path].exports, require);
  }
  return done[path].exports;
};
require(${JSON.stringify(main)});
})();`;
}

// The one fenced block that says so.
function oneBlock(text, mark) {
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, block]) => block);
  const found = blocks.filter((block) => block.includes(mark));
  assert.equal(found.length, 1, `blocks with ${mark}`);
  return found[0];
}

function between(text, first, last) {
  const begin = text.indexOf(first);
  const end = text.indexOf(last, begin);
  assert.ok(begin >= 0 && end > begin, `from ${first} to ${last}`);
  return text.slice(begin, end + (last.startsWith("</") ? last.length : 0));
}

function change(text, from, to) {
  assert.equal(text.split(from).length, 2, `${from} is to be changed once`);
  return text.replace(from, () => to);
}

function withIceServers(text, iceServers) {
  const list = /(['"]?iceServers['"]?: )\[[\s\S]*?\}\s*\]/g;
  assert.equal(text.match(list)?.length, 1, "one list of iceServers");
  return text.replace(list, (_, name) => name + JSON.stringify(iceServers));
}
