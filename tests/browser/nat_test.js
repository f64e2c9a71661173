// What the connection test says of the NAT on the way: behind real ones, and of what browsers told.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { natOf } from "../../signaling/web/diag_nat.js";
import { Chromium, until } from "./chromium.js";
import { findings } from "./diag_visitor.js";
import { Firefox } from "./firefox.js";
import { Network, whyNoNetwork } from "./network.js";
import { skipped, test } from "./testing.js";
import { Turnpike } from "./turnpike.js";

const run = promisify(execFile);
const kVisitor = fileURLToPath(new URL("./diag_visitor.js", import.meta.url));
const kServer = "192.0.2.10";
const kToRouter = ["-o", "to-router"];
const kMasquerade = ["-t", "nat", "-A", "POSTROUTING", ...kToRouter];

// By what its rules are. All of them drop what comes unasked, as routers at home do.
const kNats = {
  preserving: [[...kMasquerade, "-j", "MASQUERADE"]],
  independent: [[...kMasquerade, "-p", "udp", "-j", "MASQUERADE", "--to-ports", "40000-40999"],
    [...kMasquerade, "-p", "tcp", "-j", "MASQUERADE"]],
  symmetric: [[...kMasquerade, "-j", "MASQUERADE", "--random-fully"]],
  blocked: [[...kMasquerade, "-j", "MASQUERADE"], ["-A", "FORWARD", "-p", "udp", "-j", "DROP"]],
};

//   server 192.0.2.10 --- router --- 198.51.100.2 near
//                           +------- 203.0.113.2 nat 10.0.0.1 --- 10.0.0.2 far
async function makeNetwork(cleanUp, rules) {
  const net = new Network({ cleanUp });
  for (const router of ["router", "nat"]) await net.host(router, { forwards: true });
  for (const host of ["server", "near", "far"]) await net.host(host);
  await net.wire("server", "router", `${kServer}/24`, "192.0.2.1/24");
  await net.wire("near", "router", "198.51.100.2/24", "198.51.100.1/24");
  await net.wire("nat", "router", "203.0.113.2/24", "203.0.113.1/24");
  await net.wire("far", "nat", "10.0.0.2/24", "10.0.0.1/24");
  await net.defaultRoute("server", "192.0.2.1");
  await net.defaultRoute("near", "198.51.100.1");
  await net.defaultRoute("nat", "203.0.113.1");
  await net.defaultRoute("far", "10.0.0.1");
  const unasked = ["-A", "INPUT", "-i", "to-router", "-m", "conntrack", "--ctstate", "NEW"];
  for (const rule of [...rules, [...unasked, "-j", "DROP"]]) await net.on("nat", "iptables", ...rule);
  return net;
}

// {report, words} of the connection test on that host, with the invitation that the server prints.
async function testFrom(host, rules, { server: { authority }, cleanUp }, look, { invited = true } = {}) {
  const net = await makeNetwork(cleanUp, rules);
  const server = await Turnpike.start({
    "--listening-ip": kServer, "--relay-ip": kServer, "--public-host": kServer,
    "--allowed-peer-ip": ["198.51.100.0/24", "203.0.113.0/24"],
  }, { prefix: net.prefix("server") });
  cleanUp(() => server.stop());
  const [, invitation] = await until("an invitation", () => /#k=(\S+)/.exec(server.log));
  const url = `http://${kServer}:${server.port}/diag?auto=1${invited ? `#k=${invitation}` : ""}`;
  return look({ url, authority, prefix: net.prefix(host), cleanUp });
}

async function lookWithChromium({ url, authority, prefix, cleanUp }) {
  const browser = await Chromium.start({ authority, prefix });
  cleanUp(() => browser.stop());
  const page = await browser.newPage();
  await page.goto(url);
  return findings(page);
}

// Firefox is driven over a socket on its own loopback, so the driver runs there, too.
async function lookWithFirefox({ url, authority, prefix }) {
  const [program, ...rest] = [...prefix, process.execPath, kVisitor, authority, url];
  const { stdout } = await run(program, rest);
  return JSON.parse(stdout);
}

const kWords = {
  none: /No NAT: .*Direct calls are likely/,
  preserving: /keeps ports .*direct calls are likely/,
  independent: /one address and port to everybody: direct calls are likely/,
  symmetric: /symmetric NAT.*need the relay/,
  some: /cannot be told/,
  blocked: /UDP does not get through.*relay over TCP or TLS/,
};

function testNat(name, kind, [host, rules, look, options]) {
  const whyNot = whyNoNetwork() ??
    (look === lookWithFirefox && !existsSync(Firefox.executable) ? "Firefox is not there" : null);
  if (whyNot) return skipped(name, whyNot);
  return test(name, async (shared) => {
    const { report, words } = await testFrom(host, rules, shared, look, options);
    assert.equal(report.nat, kind, JSON.stringify(report));
    assert.match(words, kWords[kind]);
  }, { limit: 240_000 });
}

for (const [browser, look, kinds] of [
  ["Chromium", lookWithChromium, Object.keys(kNats)],
  ["Firefox", lookWithFirefox, ["independent", "symmetric"]],
]) {
  testNat(`${browser} finds no NAT where there is none`, "none", ["near", [], look]);
  for (const kind of kinds) {
    testNat(`${browser} tells the kind of a NAT: ${kind}`, kind, ["far", kNats[kind], look]);
  }
}
testNat("without a relay nobody guesses the kind of a NAT", "some",
  ["far", kNats.preserving, lookWithChromium, { invited: false }]);

// --- what browsers told, in words of theirs

const host = (port, address = "6b2d7a31-0c0e-4d5f-8f0a-1b6c3c8f4f11.local") =>
  ({ type: "host", address, port, relatedAddress: null, relatedPort: null });
const seen = (address, port, relatedAddress = "0.0.0.0", relatedPort = 0) =>
  ({ type: "srflx", address, port, relatedAddress, relatedPort });
const end = (type, relatedPort = 0) => ({ type, relatedPort });
const natFrom = (candidates, path = null, { places = 1, complete = true, answered = true } = {}) =>
  natOf({ candidates, path, places, complete }, answered);

test("the kind of a NAT is judged by what two places see of one socket", async () => {
  const mapped = seen("203.0.113.2", 55212);
  assert.equal(natFrom([host(55212), mapped], end("srflx")), "preserving");
  assert.equal(natFrom([host(36862), mapped], end("srflx")), "independent");
  assert.equal(natFrom([host(55212), mapped], end("prflx")), "symmetric");
  assert.equal(natFrom([host(55212), mapped], end("host")), "none", "an address told twice");
  assert.equal(natFrom([host(55212)], null), "none", "an address that is not told");
  assert.equal(natFrom([host(55212)], end("prflx")), "some");
  assert.equal(natFrom([host(55212)], null, { answered: false }), "blocked");
  assert.equal(natFrom([], null, { answered: null }), "unknown");
});

test("without a relay, several STUN addresses tell the kind of a NAT", async () => {
  const mapped = seen("203.0.113.2", 40001);
  assert.equal(natFrom([host(5000), mapped]), "some");
  assert.equal(natFrom([host(5000), mapped], null, { places: 2 }), "independent");
  assert.equal(natFrom([host(5000), mapped], null, { places: 2, complete: false }), "some");
  assert.equal(natFrom([host(5000), mapped, seen("203.0.113.2", 40002)]), "symmetric");
  assert.equal(natFrom([host(5000), mapped, seen("2001:db8::2", 40002)]), "some", "two families");
});

test("several interfaces are not taken for one socket behind a symmetric NAT", async () => {
  const candidates = [host(5000, "10.0.0.2"), host(6000, "10.8.0.2"),
    seen("203.0.113.2", 5000, "10.0.0.2", 5000), seen("203.0.113.9", 6000, "10.8.0.2", 6000)];
  assert.equal(natFrom(candidates, end("srflx", 5000)), "preserving");
  assert.equal(natFrom(candidates.slice(0, 3), end("prflx", 6000)), "some");
  assert.equal(natFrom(candidates, end("prflx", 6000)), "symmetric");
  const own = [host(5000, "198.51.100.2"), seen("198.51.100.2", 5000, "198.51.100.2", 5000)];
  assert.equal(natFrom(own), "none");
});
