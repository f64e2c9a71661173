// The connection test: what it finds with a server that works, and what it says of each failure.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import { assertNoTroubles, until, waitForText } from "./chromium.js";
import { Firefox } from "./firefox.js";
import { lookAt } from "./looks.js";
import { skipped, test } from "./testing.js";
import { freePorts, kApiKey, kPlainName } from "./turnpike.js";

async function openPage({ browser, cleanUp }, url, options) {
  const page = await browser.newPage(options);
  cleanUp(() => page.context().close());
  await page.goto(url);
  return page;
}

const diagUrl = (base, invitation) => `${base}/diag${invitation ? `#k=${invitation}` : ""}`;

// In either browser's page: the report, once it is there.
const reportOf = (page) => until("a report", () => page.evaluate(() => {
  const text = document.getElementById("report").textContent;
  const done = !document.getElementById("copy").disabled;
  return done && text ? JSON.parse(text) : null;
}), 80_000);

function assertWorks(report, server, transports) {
  for (const transport of transports) {
    const scheme = transport === "tls" ? "turns" : "turn";
    const port = transport === "tls" ? server.tlsPort : server.port;
    const named = transport === "tls" ? "tcp" : transport;
    const url = `${scheme}:localhost:${port}?transport=${named}`;
    const one = report.urls.find((entry) => entry.url === url);
    assert.equal(one?.verdict, "relay", `${url}: ${JSON.stringify(report.urls)}`);
  }
  const { loopback } = report;
  assert.equal(loopback.error, undefined);
  assert.ok(loopback.throughput > 100_000, JSON.stringify(loopback));
  assert.ok(loopback.roundTripMs > 0 && loopback.roundTripMs < 2_000, JSON.stringify(loopback));
  assert.ok(loopback.loss < 0.5 && loopback.video.frames > 0, JSON.stringify(loopback));
}

test("the connection test finds every address working, over HTTPS", async (shared) => {
  const { server } = shared;
  const page = await openPage(shared, diagUrl(server.secureUrl, await server.invitation("any")));
  await page.locator("#start").click();
  const report = await reportOf(page);
  assertWorks(report, server, ["udp", "tcp", "tls"]);
  assert.equal(report.verdict, "all", JSON.stringify(report));
  await waitForText(page, "#verdict", /Everything works/);
  await waitForText(page, "#loopback", /bit\/s/);
  // What the server saw: the address of HTTP, and the media that came over its own relay.
  assert.equal(report.server.you.address, "127.0.0.1");
  assert.equal(report.echo.path?.type, "relay", JSON.stringify(report.echo));
  assert.equal(report.echo.path.relay_here, true);
  assert.ok(report.echo.received.video.packets > 0);
  await waitForText(page, "#seen-server", /over the relay/);
  await waitForText(page, "#seen-server", /TLSv1\.[23], \w*AES|TLSv1\.[23], \w*CHACHA/);
  assert.equal(report.server.you.tls.version, "TLSv1.3");
  // Nothing is left open: what was not seen is explained.
  assert.doesNotMatch(await page.locator("#seen-browser").innerText(), /…/);
  await waitForText(page, "#seen-browser", /Seen from outside \(STUN\)\s+(\d|an address that this machine has itself)/);
  const cell = (kind, way) => report.families.find((one) => one.kind === kind && one.way === way)?.good;
  for (const kind of ["stun-udp", "turn-udp", "turn-tcp"]) {
    assert.equal(cell(kind, "name"), true, kind);
    assert.equal(cell(kind, "ipv4"), true, kind);
    assert.equal(cell(kind, "ipv6"), undefined, "the server listens on IPv4 alone");
  }
  assert.equal(await page.locator("#matrix tbody tr").count(), 4);
  await waitForText(page, "#matrix", /TURN\/TCP\s+✓ \d+ ms\s+✓ \d+ ms\s+–/);
  assert.doesNotMatch(JSON.stringify(report), new RegExp(kApiKey));
  assert.doesNotMatch(JSON.stringify(report), /"credential":|"username":/, "no secrets in reports");
  await page.locator("#copy").click();
  await waitForText(page, "#copy", /Copied/);
  await assertNoTroubles(page);
});

test("the connection test works over plain HTTP, begun by its address", async (shared) => {
  const { server } = shared;
  const base = `http://${kPlainName}:${server.port}`;
  const invitation = await server.invitation("any");
  const page = await openPage(shared, `${base}/diag?auto=1#k=${invitation}`);
  assert.equal(await page.evaluate(() => window.isSecureContext), false);
  const report = await reportOf(page);
  assertWorks(report, server, ["udp", "tcp", "tls"]);
  await assertNoTroubles(page);
});

test("without credentials the connection test asks for some, and takes an API key", async (shared) => {
  const { server } = shared;
  const page = await openPage(shared, diagUrl(server.plainUrl));
  await waitForText(page, "#access-note", /holds no invitation/);
  await page.locator("#start").click();
  const untested = await reportOf(page);
  assert.equal(untested.verdict, "untested", JSON.stringify(untested));
  await page.locator("#key").fill(kApiKey);
  await page.locator("#own-form button").click();
  await waitForText(page, "#access-note", /has given credentials/);
  await page.locator("#start").click();
  await waitForText(page, "#verdict", /Everything works/);
  await assertNoTroubles(page);
});

// Servers that a person typed in, and what is said of them.
async function verdictOf(shared, { urls, username = "u", credential = "p", base }) {
  const page = await openPage(shared, diagUrl(base ?? shared.server.plainUrl));
  await waitForText(page, "#access-note", /holds no invitation/);
  await page.locator("#own-urls").fill(urls);
  await page.locator("#own-username").fill(username);
  await page.locator("#own-credential").fill(credential);
  await page.locator("#own-form button").click();
  await waitForText(page, "#access-note", /Your servers/);
  await page.locator("#start").click();
  const report = await reportOf(page);
  return { page, report, words: await page.locator("#urls").innerText() };
}

test("the connection test tells a wrong password from one that has expired", async (shared) => {
  const { server } = shared;
  const urls = `turn:localhost:${server.port}?transport=udp turn:localhost:${server.port}?transport=tcp`;
  const wrong = await verdictOf(shared, { urls, username: "4102444800:ann" });
  assert.deepEqual(wrong.report.urls.map(({ verdict }) => verdict), ["credential", "credential"]);
  assert.match(wrong.words, /Wrong user name or password \(401/);
  await lookAt(wrong.page, "diag-refused");
  assert.equal(wrong.report.verdict, "nothing");
  const late = await verdictOf(shared, { urls, username: "1000000000:ann" });
  assert.deepEqual(late.report.urls.map(({ verdict }) => verdict), ["expired", "expired"]);
  assert.match(late.words, /have expired/);
});

test("the connection test tells holders of an invitation why credentials are refused", async (shared) => {
  const { server } = shared;
  const page = await openPage(shared, diagUrl(server.plainUrl, await server.invitation("any")));
  await waitForText(page, "#access-note", /has given credentials/);
  await page.locator("#own summary").click();
  const verdictFor = async (username) => {
    await page.locator("#own-urls").fill(`turn:localhost:${server.port}?transport=udp`);
    await page.locator("#own-username").fill(username);
    await page.locator("#own-credential").fill("wrong");
    await page.locator("#own-form button").click();
    await page.locator("#start").click();
    const report = await reportOf(page);
    return report.urls[0].verdict;
  };
  assert.equal(await verdictFor("4102444800:ann"), "wrongPassword");
  await waitForText(page, "#urls", /The password is wrong for this user/);
  assert.equal(await verdictFor("nobody"), "unknownUser");
  assert.equal(await verdictFor("1000000000:ann"), "expired");
});

test("the connection test tells a closed port from a certificate that is not trusted", async (shared) => {
  const { server } = shared;
  const [closed] = await freePorts(1);
  const { page, report } = await verdictOf(shared, {
    base: `http://127.0.0.1:${server.port}`, // the certificate is for localhost only
    urls: `turn:localhost:${closed}?transport=tcp turns:localhost:${closed}?transport=tcp ` +
      `turns:127.0.0.1:${server.tlsPort}?transport=tcp`,
  });
  assert.deepEqual(report.urls.map(({ verdict }) => verdict),
    ["blockedTcp", "blockedOrCertificate", "certificate"], JSON.stringify(report.urls));
  await lookAt(page, "diag-blocked");
});

test("the connection test says when the clock is wrong", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  await page.addInitScript(() => {
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
  });
  await page.goto(diagUrl(server.plainUrl, await server.invitation("any")));
  await page.locator("#start").click();
  const report = await reportOf(page);
  assert.ok(Math.abs(report.clockOffSeconds - 3600) <= 2, String(report.clockOffSeconds));
  assert.equal(report.verdict, "all-clock");
  await waitForText(page, "#verdict-text", /36\d\d seconds off/);
});

const kFirefox = "the connection test works in Firefox";
if (!existsSync(Firefox.executable)) {
  skipped(kFirefox, `${Firefox.executable} is not there`);
} else {
  test(kFirefox, async ({ server, openFirefox, cleanUp }) => {
    const page = await (await openFirefox()).newPage({ cleanUp });
    await page.goto(`${server.plainUrl}/diag?auto=1#k=${await server.invitation("any")}`);
    const report = await reportOf(page);
    assertWorks(report, server, ["udp", "tcp", "tls"]);
    assert.equal(report.verdict, "all", JSON.stringify(report));
    assert.equal(report.echo.path?.relay_here, true, JSON.stringify(report.echo));
  });
}

test("the connection test ends, and says so, when one part of it does not", async (shared) => {
  const page = await shared.browser.newPage();
  shared.cleanUp(() => page.context().close());
  await page.addInitScript(() => {
    RTCPeerConnection.prototype.getStats = () => new Promise(() => {});
  });
  await page.goto(diagUrl(shared.server.plainUrl, await shared.server.invitation("any")));
  await page.locator("#start").click();
  const report = await reportOf(page);
  assert.deepEqual(report.failures, [{ part: "loopback", error: "no end after 45 s" }]);
  assert.equal(report.verdict, "noMedia");
  assert.ok(report.urls.some(({ verdict }) => verdict === "relay"));
});

test("the connection test does not wait for ever for the server's answers", async (shared) => {
  const page = await shared.browser.newPage();
  shared.cleanUp(() => page.context().close());
  await page.route("**/api/ice", () => {});
  await page.goto(diagUrl(shared.server.plainUrl, await shared.server.invitation("any")));
  await waitForText(page, "#access-note", /The server does not answer/);
  assert.equal(await page.locator("#start").isEnabled(), true);
});
