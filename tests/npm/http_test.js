// HTTP around Socket.IO as browsers use it: other sites, JSONP, the client's script.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";

import { conversation } from "./conversation.js";
import { isReference, startServer } from "./server.js";

const server = await startServer();
const kSite = "http://tutorial.example:8181";
const kScaleDrone = new URL("../../signaling/web/scaledrone.js", import.meta.url);
const require = createRequire(import.meta.url);

const address = (query, path = "/socket.io/") => `${server.url}${path}?${query}`;

for (const version of [3, 4]) {
  const base = `EIO=${version}&transport=polling`;

  conversation(`EIO ${version}: pages of other sites may ask, with credentials`, async () => {
    const answer = await fetch(address(`${base}&t=abc`), { headers: { Origin: kSite } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("access-control-allow-origin"), kSite);
    assert.equal(answer.headers.get("access-control-allow-credentials"), "true");
    assert.match(answer.headers.get("vary") ?? "", /\borigin\b/i);
    assert.match(answer.headers.get("cache-control") ?? "", /no-store/);
    assert.match(answer.headers.get("content-type"), /^text\/plain; charset=utf-8/i);
  });

  conversation(`EIO ${version}: a preflight allows binary posts`, async () => {
    const sid = await handshake(version);
    const answer = await fetch(address(`${base}&sid=${sid}`), {
      method: "OPTIONS",
      headers: {
        Origin: kSite,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
      },
    });
    assert.ok([200, 204].includes(answer.status), String(answer.status));
    assert.equal(answer.headers.get("access-control-allow-origin"), kSite);
    assert.equal(answer.headers.get("access-control-allow-credentials"), "true");
    assert.match(answer.headers.get("access-control-allow-methods") ?? "", /\bPOST\b/);
    assert.match(answer.headers.get("access-control-allow-headers") ?? "", /content-type/i);
  });

  conversation(`EIO ${version}: errors can be read by pages of other sites`, async () => {
    for (const [query, code] of [
      [`EIO=${version}&transport=pigeon`, 0],
      [`EIO=${version}`, 0],
      [`${base}&sid=abcdefghijklmnopqrst`, 1],
      [`EIO=${version}&transport=websocket`, 3],
    ]) {
      const answer = await fetch(address(query), { headers: { Origin: kSite } });
      assert.equal(answer.status, 400, query);
      assert.equal((await answer.json()).code, code, query);
      assert.equal(answer.headers.get("access-control-allow-origin"), kSite, query);
    }
    const posted = await fetch(address(base), { method: "POST", body: "4" });
    assert.equal(posted.status, 400);
    assert.equal((await posted.json()).code, 2);
  });

  conversation(`EIO ${version}: JSONP in both directions`, async () => {
    const jsonp = async (query) => {
      const answer = await fetch(address(`${base}&j=3x${query}`));
      assert.equal(answer.status, 200);
      // With nosniff browsers run nothing else; Node's says that it is plain text.
      if (!isReference) assert.match(answer.headers.get("content-type"), /javascript/);
      const script = await answer.text();
      assert.doesNotMatch(script, /[\u2028\u2029]/, "which old scripts take for ends of lines");
      return runScript(script, 3);
    };
    const opening = await jsonp("");
    const sid = /"sid":"([^"]+)"/.exec(opening)[1];
    const packet = (text) => (version === 3 ? `${text.length}:${text}` : text);
    const post = async (text) => {
      const answer = await fetch(address(`${base}&j=3&sid=${sid}`), {
        method: "POST",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: `d=${encodeURIComponent(text.replace(/\\n/g, "\\\\n"))}`,
      });
      assert.equal(answer.status, 200);
      assert.equal(await answer.text(), "ok");
    };
    if (version === 4) {
      await post("40");
      assert.match(await jsonp(`&sid=${sid}`), /^40\{"sid"/);
    }
    await post(packet('42["leave","a\\nb\\u2028"]'));
    const wanted = /42\["leaved","a(\\n|\n)b(\\u2028|\u2028)","/;
    let heard = opening.slice(opening.indexOf("}"));
    for (let count = 0; count < 3 && !wanted.test(heard); count += 1) {
      heard = await jsonp(`&sid=${sid}`);
    }
    assert.match(heard, wanted);
  });
}

// What a page's <script> would hand to the client.
function runScript(text, index) {
  const heard = [];
  const ___eio = { [index]: (payload) => heard.push(payload) };
  new Function("___eio", text)(___eio);
  assert.equal(heard.length, 1, text);
  return heard[0];
}

async function handshake(version) {
  const answer = await fetch(address(`EIO=${version}&transport=polling`));
  return /"sid":"([^"]+)"/.exec(await answer.text())[1];
}

conversation("HTTP: an Engine.IO version that is none is refused", async () => {
  for (const query of ["transport=polling", "EIO=abc&transport=polling", "EIO=5&transport=polling"]) {
    const answer = await fetch(address(query));
    assert.equal(answer.status, 400, query);
    assert.equal((await answer.json()).code, 5, query);
  }
}, { skip: isReference && "Node takes it for 3" });

const kScripts = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"];
const kFolders = ["/socket.io/", "/node_modules/socket.io/client-dist/"];
for (const path of kFolders.flatMap((folder) =>
  kScripts.flatMap((name) => [folder + name, `${folder}${name}.map`]))) {
  conversation(`HTTP: ${path} is npm's client, with an ETag`, async ({ t }) => {
    const answer = await fetch(server.url + path, { headers: { Origin: kSite } });
    if (answer.status === 404) {
      // Built without npm: it says how to mend that.
      assert.match(await answer.text(), /tools\/up/);
      return t.skip("the binary was built without npm's client");
    }
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type"), path.endsWith(".map") ? /json/ : /javascript/);
    assert.equal(answer.headers.get("access-control-allow-origin"), kSite, "modules need it");
    const etag = answer.headers.get("etag");
    assert.match(etag, /^"[^"]+"$/);
    const file = await answer.text();
    for (const tags of [etag, `"other", ${etag}`, `W/${etag}`, "*"]) {
      const again = await fetch(server.url + path, { headers: { "If-None-Match": tags } });
      assert.equal(again.status, 304, tags);
      assert.equal(again.headers.get("etag"), etag);
      assert.equal(await again.text(), "");
    }
    const changed = await fetch(server.url + path, { headers: { "If-None-Match": '"other"' } });
    assert.equal(changed.status, 200);
    assert.equal(await changed.text(), file);
    const head = await fetch(server.url + path, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(Number(head.headers.get("content-length")), Buffer.byteLength(file));
    const name = path.split("/").at(-1);
    assert.equal(file, await readFile(require.resolve("sioc4").replace(/sioc4.*$/,
      `sioc4/dist/${name}`), "utf8"));
  }, { skip: isReference && "not all there" });
}

conversation("HTTP: the licences of the client are shipped with it", async ({ t }) => {
  const answer = await fetch(`${server.url}/assets/socketio/LICENSE`);
  if (answer.status === 404) return t.skip("the binary was built without npm's client");
  const text = await answer.text();
  for (const name of ["socket.io-client", "engine.io-parser", "debug"]) {
    assert.match(text, new RegExp(`^${name}\\b`, "m"));
  }
  assert.match(text, /Permission is hereby granted, free of charge/);
}, { skip: isReference });

conversation("HTTP: what stands beside the client is not served", async () => {
  for (const path of ["/socket.io/package.json", "/socket.io/socket.io.ts", "/socket.io/LICENSE.js",
    "/node_modules/socket.io/package.json", "/node_modules/"]) {
    assert.equal((await fetch(server.url + path)).status, 404, path);
  }
}, { skip: isReference });

conversation("HTTP: /scaledrone.min.js is served", async () => {
  const answer = await fetch(`${server.url}/scaledrone.min.js`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /javascript/);
  assert.equal(await answer.text(), await readFile(kScaleDrone, "utf8"));
  const again = await fetch(`${server.url}/scaledrone.min.js`,
    { headers: { "If-None-Match": answer.headers.get("etag") } });
  assert.equal(again.status, 304);
}, { skip: (isReference || !existsSync(kScaleDrone)) && "not there" });
