// What kind of address translation (NAT) is on the way, and so whether direct calls can be hoped
// for: those need a NAT that shows a socket under one address to whomever it talks to
// (endpoint-independent mapping, RFC 4787 section 4.1). No DOM in here.
//
// Two places must see the same socket. One is STUN. The other is a relayed address of ours, for
// which any server with TURN will do: when a connectivity check of that socket is answered from
// there, the browser calls its own end by what the relay saw of it, "host" (the machine's own
// address), "srflx" (what STUN saw, too) or "prflx" (something new). That holds also where browsers
// hide the machine's addresses, which is wherever a page may not use the camera: candidates then
// have no related address, and Chromium tells its own address once more as "srflx".

import { factsOf, partsOf } from "./diag_probe.js";
import { after } from "./waiting.js";

const kGatherPatience = 12_000;
const kPathPatience = 5_000;

// {candidates, path, places, complete}. `path` is what the browser calls its end of the way to the
// relayed address, or null; `places` how many STUN addresses were asked that surely differ, and
// `complete` whether all of them answered.
export async function observeNat(servers, relay) {
  const stun = stunServers(servers);
  const observed = await observe(stun, relay);
  if (observed.path?.type === "srflx") {
    // Of an address that the browser has told twice it may take either name; now it has but one.
    const mapped = observed.candidates.filter(({ type }) => type === "srflx");
    const { path } = await observe([], relay, mapped);
    if (path?.type === "host") observed.path = path;
  }
  return { ...observed, candidates: observed.candidates.map(factsOf), places: countPlaces(stun) };
}

// The relay lets in whom it knows of: a socket without STUN is known by the `mapped` of another.
async function observe(stun, relay, mapped = []) {
  const socket = new RTCPeerConnection({ iceServers: stun.map((url) => ({ urls: [url] })) });
  const relayed = relay &&
    new RTCPeerConnection({ iceServers: [relay], iceTransportPolicy: "relay" });
  try {
    socket.createDataChannel("nat");
    const { candidates, complete } = await gatherAll(socket);
    const path = relayed ? await pathBetween(socket, relayed, mapped) : null;
    return { candidates, complete, path };
  } finally {
    socket.close();
    relayed?.close();
  }
}

// Ports for TURN over UDP answer STUN, too.
function stunServers(servers) {
  const all = servers.flatMap(({ urls }) => urls).filter((url) => partsOf(url).transport === "udp")
    .map((url) => {
      const { host, port } = partsOf(url);
      return `stun:${host}:${port}`;
    });
  return [...new Set(all)];
}

// Two names may be one machine; two ports of one name are two places.
function countPlaces(stun) {
  const ports = new Map();
  for (const { host, port } of stun.map(partsOf)) {
    ports.set(host, (ports.get(host) ?? new Set()).add(port));
  }
  return Math.max(0, ...[...ports.values()].map(({ size }) => size));
}

async function gatherAll(connection) {
  const candidates = [];
  let failed = false;
  const ended = new Promise((done) => {
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (!candidate) return done(true);
      if (candidate.candidate) candidates.push(candidate);
    });
  });
  connection.addEventListener("icecandidateerror", () => {
    failed = true;
  });
  await connection.setLocalDescription();
  const inTime = await Promise.race([ended, after(kGatherPatience).then(() => false)]);
  return { candidates, complete: inTime && !failed };
}

// Checks begin only here, when STUN has answered: what it saw must be known, or it would be new.
async function pathBetween(socket, relayed, mapped) {
  relayed.addEventListener("icecandidate", ({ candidate }) =>
    candidate && socket.addIceCandidate(candidate).catch(() => {}));
  const connected = new Promise((done) => socket.addEventListener("iceconnectionstatechange", () =>
    ["connected", "completed"].includes(socket.iceConnectionState) && done(true)));
  try {
    await relayed.setRemoteDescription(socket.localDescription);
    for (const { candidate, sdpMid } of mapped) {
      const unbound = candidate.replace(/ ufrag \S+/, "");
      await relayed.addIceCandidate({ candidate: unbound, sdpMid });
    }
    const answer = await relayed.createAnswer();
    await socket.setRemoteDescription(answer);
    await relayed.setLocalDescription(answer);
  } catch {
    return null;
  }
  if (!(await Promise.race([connected, after(kPathPatience).then(() => false)]))) return null;
  return ownEnd(await socket.getStats());
}

function ownEnd(report) {
  for (const pair of report.values()) {
    if (pair.type !== "candidate-pair" || !(pair.nominated || pair.selected)) continue;
    const { candidateType, relatedPort } = report.get(pair.localCandidateId) ?? {};
    if (candidateType) return { type: candidateType, relatedPort: relatedPort ?? 0 };
  }
  return null;
}

// One of "none", "preserving", "independent", "symmetric", "some", "blocked" and "unknown".
// `answered` is whether STUN was answered at all, null where nothing could be asked.
export function natOf({ candidates, path, places, complete }, answered) {
  const hosts = candidates.filter(({ type }) => type === "host");
  const mapped = candidates.filter(({ type }) => type === "srflx");
  if (differ(mapped)) return "symmetric";
  const visible = hosts.some(({ address }) => mapped.some((one) => one.address === address));
  if (path?.type === "host" || visible) return "none";
  if (mapped.length === 0) return path ? "some" : notMapped(answered);
  if (path?.type === "prflx") return isNew(path, mapped) ? "symmetric" : "some";
  if (path?.type !== "srflx" && !(complete && places > 1)) return "some";
  return mapped.some((one) => keepsPort(one, hosts)) ? "preserving" : "independent";
}

// Browsers leave out what STUN saw when the machine has that address itself.
const notMapped = (answered) => (answered ? "none" : answered === false ? "blocked" : "unknown");

// Where related addresses are hidden, the browser uses one socket of each family.
const baseOf = ({ address, relatedAddress, relatedPort }) =>
  (relatedPort ? `${relatedAddress}:${relatedPort}` : address?.includes(":") ? "IPv6" : "IPv4");

// One socket, seen under several addresses.
function differ(mapped) {
  const seen = new Map();
  for (const one of mapped) {
    const base = baseOf(one);
    seen.set(base, (seen.get(base) ?? new Set()).add(`${one.address}:${one.port}`));
  }
  return [...seen.values()].some(({ size }) => size > 1);
}

// Nothing new where STUN was never asked from that socket, as with several interfaces.
const isNew = ({ relatedPort }, mapped) =>
  !relatedPort || mapped.some((one) => !one.relatedPort || one.relatedPort === relatedPort);

// The port of a hidden address is shown.
const keepsPort = ({ port, relatedPort }, hosts) =>
  (relatedPort ? port === relatedPort : hosts.some((host) => host.port === port));
