// The pages as files, and the start page.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";

import { assertNoTroubles, waitForText } from "./chromium.js";
import { test } from "./testing.js";
import { kPlainName } from "./turnpike.js";

const kWebFolder = new URL("../../signaling/web/", import.meta.url);

test("every file of signaling/web is served as it stands in the tree", async ({ server }) => {
  const names = (await readdir(kWebFolder)).filter((name) => /\.(js|css|html|svg)$/.test(name));
  assert.ok(names.length > 10);
  for (const name of names) {
    const url = `${server.plainUrl}/assets/${name}`;
    const answer = await fetch(url);
    assert.equal(answer.status, 200, name);
    const content = Buffer.from(await answer.arrayBuffer());
    assert.ok(content.equals(await readFile(new URL(name, kWebFolder))), `${name} differs`);
    const digest = createHash("sha256").update(content).digest("hex");
    assert.equal(answer.headers.get("etag"), `"${digest.slice(0, 32)}"`, name);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", name);
    const again = await fetch(url, { headers: { "If-None-Match": answer.headers.get("etag") } });
    assert.equal(again.status, 304, name);
  }
});

test("pages forbid inline scripts and foreign ones", async ({ server }) => {
  for (const path of ["/", "/call/demo", "/diag"]) {
    const answer = await fetch(server.plainUrl + path);
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type"), /^text\/html; charset=utf-8/i);
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /script-src 'self'(;|$)/, path);
    assert.match(policy, /style-src 'self'(;|$)/, path);
    assert.doesNotMatch(policy, /unsafe|\*/, path);
  }
  assert.equal((await fetch(`${server.plainUrl}/assets/nothing.js`)).status, 404);
});

test("the start page says that the server works and what to paste", async ({ server, browser }) => {
  const page = await browser.newPage();
  await page.goto(server.secureUrl);
  await waitForText(page, "#verdict", /This server works/);
  await waitForText(page, "#check-signaling", /answered in \d+ ms/);
  const urls = await page.locator("#urls-turn").innerText();
  assert.match(urls, new RegExp(`turn:localhost:${server.port}\\?transport=udp`));
  assert.match(urls, new RegExp(`turns:localhost:${server.tlsPort}\\?transport=tcp`));
  assert.match(await page.locator("#snippets").innerText(), /new RTCPeerConnection/);
  await assertNoTroubles(page);
});

test("a copy button copies its snippet, with and without a secure context", async (shared) => {
  const { server, browser } = shared;
  for (const base of [server.secureUrl, `http://${kPlainName}:${server.port}`]) {
    const page = await browser.newPage({ permissions: [] });
    await page.goto(base);
    await page.locator(".snippet .copy").first().click();
    await waitForText(page, ".snippet:first-child .copy", /Copied/);
    await page.locator("#room").fill("");
    await page.locator("#room").focus();
    await page.keyboard.press("Control+V");
    assert.match(await page.locator("#room").inputValue(), /^import \{ join \} from/, base);
    await assertNoTroubles(page);
  }
});

test("the start page passes its invitation on to the room", async ({ server, browser }) => {
  const invitation = await server.invitation("green-heron-42");
  const page = await browser.newPage();
  await page.goto(`${server.secureUrl}/#k=${invitation}`);
  assert.equal(await page.locator("#room").inputValue(), "green-heron-42");
  await waitForText(page, "#invitation-note", /may use the relay/);
  await page.locator("#room").fill("elsewhere");
  await waitForText(page, "#invitation-note", /is for green-heron-42/);
  await page.locator("#room").fill("房".repeat(43));
  await page.locator("#call-form button[type=submit]").click();
  await waitForText(page, "#invitation-note", /1 to 128 bytes/);
  await page.locator("#room").fill("green-heron-42");
  await page.locator("#call-form button[type=submit]").click();
  await page.waitForURL(`${server.secureUrl}/call/green-heron-42#k=${invitation}`);
  await page.locator("#enter").click();
  await waitForText(page, "#phase", /Waiting for others/);
  await assertNoTroubles(page);
});

test("the links printed at the start open the room and the start page", async (shared) => {
  const { server, browser } = shared;
  const [room] = /https:\S+\/call\/\S+#k=\S+/.exec(server.log);
  const [start] = /https:\S+\/#k=\S+/.exec(server.log);
  const page = await browser.newPage();
  await page.goto(room);
  await page.locator("#enter").click();
  await waitForText(page, "#phase", /Waiting for others/);
  assert.equal(await page.locator("#notice-relay").isVisible(), false, "no relay");
  await page.goto(start);
  await waitForText(page, "#invitation-note", /may use the relay/);
  await assertNoTroubles(page);
});

test("pages speak Chinese to a Chinese browser, and change on request", async (shared) => {
  const { server, browser } = shared;
  const page = await browser.newPage({ locale: "zh-CN" });
  await page.goto(server.secureUrl);
  await waitForText(page, "#verdict", /服务器工作正常/);
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
  await page.locator("#language").click();
  await waitForText(page, "#verdict", /This server works/);
  assert.equal(await page.getAttribute("html", "lang"), "en");
  await page.goto(await server.roomUrl("language"));
  await waitForText(page, "#phase", /Waiting for others/);
  await page.locator("#language").click();
  await waitForText(page, "#phase", /等待其他人/);
  await assertNoTroubles(page);
});

test("both languages have the same words", async () => {
  const english = await catalog("locale_en.js");
  const chinese = await catalog("locale_zh.js");
  assert.deepEqual(Object.keys(chinese).sort(), Object.keys(english).sort());
  for (const [key, words] of Object.entries(english)) {
    const places = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
    assert.deepEqual(places(chinese[key]), places(words), key);
  }
});

// As text, because Node.js 18 takes a .js file for a module only below a package.json that says so.
async function catalog(name) {
  const source = await readFile(new URL(name, kWebFolder), "base64");
  return (await import(`data:text/javascript;base64,${source}`)).default;
}
