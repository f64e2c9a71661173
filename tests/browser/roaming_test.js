// A call goes on when one of its machines changes from one network to another, as a telephone does
// that leaves the Wi-Fi behind.

import assert from "node:assert/strict";

import { Chromium, until, waitForPictures, waitForText } from "./chromium.js";
import { Network, whyNoNetwork } from "./network.js";
import { skipped, test } from "./testing.js";
import { Turnpike } from "./turnpike.js";

const kServer = "192.0.2.10";
const kPatience = 60_000;

//            +--- NAT wifi ---- 10.1.0.2 ---+
//   server --+                              +--- ann
//     |      +--- NAT mobile -- 10.2.0.2 ---+
//     +------ 198.51.100.2 ben
async function makeNetwork(cleanUp) {
  const net = new Network({ cleanUp });
  for (const router of ["server", "wifi", "mobile"]) await net.host(router, { forwards: true });
  for (const host of ["ann", "ben"]) await net.host(host);
  await net.on("server", "ip", "address", "add", `${kServer}/32`, "dev", "lo");
  await net.wire("ben", "server", "198.51.100.2/24", "198.51.100.1/24");
  await net.defaultRoute("ben", "198.51.100.1");
  for (const [name, number] of [["wifi", 1], ["mobile", 2]]) {
    await net.wire(name, "server", `203.0.113.${4 * number + 2}/30`, `203.0.113.${4 * number + 1}/30`);
    await net.defaultRoute(name, `203.0.113.${4 * number + 1}`);
    await net.wire("ann", name, `10.${number}.0.2/24`, `10.${number}.0.1/24`);
    await net.on(name, "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "to-server",
      "-j", "MASQUERADE");
    await net.on(name, "iptables", "-A", "INPUT", "-i", "to-server", "-m", "conntrack",
      "--ctstate", "NEW", "-j", "DROP");
  }
  await net.defaultRoute("ann", "10.1.0.1");
  await net.on("ann", "ip", "link", "set", "to-mobile", "down");
  return net;
}

async function enter(name, { net, server, authority, query, room, invitation, cleanUp }) {
  const base = `http://${kServer}:${server.port}`;
  const browser = await Chromium.start({
    authority, prefix: net.prefix(name),
    // The camera, and with it the addresses of each interface, are for secure pages.
    flags: [`--unsafely-treat-insecure-origin-as-secure=${base}`],
  });
  cleanUp(() => browser.stop());
  const page = await browser.newPage();
  await page.goto(await server.roomUrl(room, { base, invitation, query: { ...query, name } }));
  return page;
}

// The page's end of the pair that is selected.
const ownEnd = (page) => page.evaluate(async () => {
  const report = await window.rememberedConnections[0].getStats();
  const transport = [...report.values()].find(({ type }) => type === "transport");
  const local = report.get(report.get(transport?.selectedCandidatePairId)?.localCandidateId);
  return local ? `${local.address}:${local.port}` : null;
});

// Answers whether the page has resumed its session since.
function watchSession(page) {
  let resumed = false;
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
    resumed ||= String(payload).includes('"type":"resumed"');
  }));
  return () => resumed;
}

// The old network goes without a word, and only then there is a new one.
async function move(net) {
  await net.on("ann", "ip", "address", "flush", "dev", "to-wifi");
  await net.on("ann", "ip", "link", "set", "to-wifi", "down");
  await net.on("ann", "ip", "link", "set", "to-mobile", "up");
  await net.defaultRoute("ann", "10.2.0.1");
}

async function roam({ server: { authority }, cleanUp }, query, expected) {
  const net = await makeNetwork(cleanUp);
  const server = await Turnpike.start({
    "--listening-ip": kServer, "--relay-ip": kServer, "--public-host": kServer,
    "--allowed-peer-ip": [`${kServer}/32`, "198.51.100.0/24", "203.0.113.0/24"],
  }, { prefix: net.prefix("server") });
  cleanUp(() => server.stop());
  const [, room, invitation] = await until("an invitation", () =>
    /call room +\S+\/call\/(\S+)#k=(\S+)/.exec(server.log));
  const call = { net, server, authority, query, room, invitation, cleanUp };
  const ann = await enter("ann", call);
  await waitForText(ann, "#phase", /Waiting/);
  const ben = await enter("ben", call);
  await Promise.all([waitForPictures(ann), waitForPictures(ben)]);

  const before = await ownEnd(ann);
  const hasResumed = watchSession(ann);
  await move(net);
  await until("a way by the other network", async () => {
    const now = await ownEnd(ann);
    return now !== before && expected.test(now);
  }, kPatience);
  await until("the session resumed", hasResumed, kPatience);
  for (const page of [ann, ben]) {
    await waitForPictures(page);
    await waitForText(page, "#phase", /In a call with 1/);
    await until("both sides agreed", () =>
      page.evaluate(() => window.rememberedConnections[0].signalingState === "stable"));
    assert.equal(await page.evaluate(() => window.rememberedConnections.length), 1);
  }
}

const kWays = [
  ["directly", {}, /^(10\.2\.0\.2|203\.0\.113\.10):/],
  ["over the relay", { relay: "1" }, /^192\.0\.2\.10:/],
];
for (const [way, query, expected] of kWays) {
  const name = `a call ${way} goes on in another network`;
  if (whyNoNetwork()) skipped(name, whyNoNetwork());
  else test(name, (shared) => roam(shared, query, expected), { limit: 300_000 });
}
