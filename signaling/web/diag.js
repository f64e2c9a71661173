// The connection test: /diag#k=INVITATION, works on plain HTTP and without a camera.
//
//   ?auto=1   begin at once

import { join } from "/client/v1.js";

import { natOf, observeNat } from "./diag_nat.js";
import {
  gather, isTurn, judge, kindOf, kKinds, knock, kWays, literalServers, partsOf, wayOf,
} from "./diag_probe.js";
import { echo, loopback, testStream } from "./diag_relay.js";
import { byId, cloneTemplate, copyText, invitationInAddress, setHidden } from "./dom.js";
import { currentLanguage, say, sayFacts, sayNothing, startLanguages, translate } from "./i18n.js";
import { bitRate, decimal, percentage } from "./numbers.js";
import { after } from "./waiting.js";

// Certificates and credentials that others make by their own clock fail beyond this.
const kClockTolerance = 60;
// Every answer that can come quickly has come by then.
const kOwnAddressAfter = 2_000;
const kAnswerPatience = 10_000;
// More than any part of the test takes that comes to an end by itself.
const kPartPatience = 45_000;

const invitation = invitationInAddress();
let config = null;
let clockOff = 0;
let access = { iceServers: [], from: null, proof: null };
let report = {};
let running = false;

startLanguages(byId("language"));
document.addEventListener("languagechange", showFigures);
byId("home").hash = location.hash;
byId("start").addEventListener("click", run);
byId("copy").addEventListener("click", copyReport);
byId("save").addEventListener("click", saveReport);
byId("own-form").addEventListener("submit", useOwn);
addEventListener("hashchange", () => location.reload());
prepare();

async function prepare() {
  try {
    await askServer();
    await useAccess(invitation);
  } catch {
    say(byId("access-note"), "diag.access.noServer");
  }
  byId("start").disabled = false;
  if (new URLSearchParams(location.search).get("auto") === "1") run();
}

function inTime() {
  return AbortSignal.timeout(kAnswerPatience);
}

async function askServer() {
  const began = Date.now();
  const answer = await fetch("/config.json", { cache: "no-store", signal: inTime() });
  config = await answer.json();
  // Half of the way there and back; the server tells whole seconds.
  clockOff = Math.round((Date.now() + began) / 2000 - config.time);
}

// --- credentials

async function useAccess(proof) {
  const iceServers = proof ? await mint(proof) : config.openRooms ? await askRoom() : null;
  if (iceServers) {
    setAccess(iceServers, "server", "diag.access.have", proof);
  } else {
    const stun = config.iceUrls.stun.map((url) => ({ urls: [url] }));
    const turn = config.iceUrls.turn.map((url) => ({ urls: [url] }));
    setAccess([...stun, ...turn], null, proof ? "diag.access.refused" : "diag.access.none");
    byId("own").open = true;
  }
}

async function mint(proof) {
  const answer = await fetch("/api/ice", {
    headers: { Authorization: `Bearer ${proof}` }, signal: inTime(),
  });
  return answer.ok ? (await answer.json()).iceServers : null;
}

// A server with open rooms gives credentials to everybody who enters one.
async function askRoom() {
  try {
    const room = await join(`diag-${Math.random().toString(36).slice(2)}`, {
      RTCPeerConnection: null, signal: inTime(),
    });
    room.leave();
    return room.iceServers;
  } catch {
    return null;
  }
}

function setAccess(iceServers, from, key, proof = invitation) {
  access = { iceServers, from, proof };
  say(byId("access-note"), key);
  showPlan();
}

async function useOwn(event) {
  event.preventDefault();
  const urls = byId("own-urls").value.split(/[\s,]+/).filter((url) => partsOf(url));
  const key = byId("key").value.trim();
  if (urls.length > 0) {
    const [username, credential] = [byId("own-username").value, byId("own-credential").value];
    const one = (url) => (isTurn(url) ? { urls: [url], username, credential } : { urls: [url] });
    setAccess(urls.map(one), "user", "diag.access.yours");
  } else if (key && config) {
    await useAccess(key);
  }
}

// --- the run

const servers = () => access.iceServers.flatMap((server) =>
  [server.urls].flat().map((url) => ({ ...server, urls: [url] })));

async function run() {
  if (running) return;
  running = true;
  showRunning(true);
  say(byId("verdict"), "diag.running");
  say(byId("verdict-text"), "diag.runningText");
  const media = testStream();
  report = beginReport();
  await part("urls", testUrls());
  await Promise.all([part("nat", testNat()), part("families", testFamilies())]);
  await part("loopback", testRelay(media));
  await part("echo", testEcho(media));
  media.close();
  running = false;
  conclude();
  showRunning(false);
}

// What goes wrong in one part, or does not end, is told in the report and leaves the others alone.
async function part(name, test) {
  const late = after(kPartPatience).then(() => {
    throw new Error(`no end after ${kPartPatience / 1000} s`);
  });
  try {
    await Promise.race([test, late]);
  } catch (error) {
    report.failures.push({ part: name, error: error.message });
  }
}

// Who began by keyboard stands on that button: it must not lose the focus, as one that is disabled
// does.
function showRunning(runs) {
  byId("start").setAttribute("aria-disabled", runs);
  for (const id of ["copy", "save"]) byId(id).disabled = runs;
}

function beginReport() {
  return {
    at: new Date().toISOString(),
    page: location.origin + location.pathname,
    secureContext: window.isSecureContext,
    browser: navigator.userAgent,
    network: navigator.connection?.effectiveType ?? null,
    server: config && { version: config.version, publicUrl: config.publicUrl, you: config.you },
    clockOffSeconds: clockOff,
    credentials: access.from,
    urls: [],
    families: [],
    nat: null,
    reflexive: null,
    local: null,
    loopback: null,
    echo: null,
    failures: [],
  };
}

async function testUrls() {
  const rows = showPlan();
  const gathered = [];
  const relays = new Set(); // "host:port" where UDP is answered
  await Promise.all(servers().map(async (server, index) => {
    const [url] = server.urls;
    const row = rows[index];
    if (isTurn(url) && !server.credential) {
      showRow(row, { state: "skipped", key: "diag.verdict.noCredential" });
      report.urls[index] = { url, good: null, verdict: "noCredential" };
      return;
    }
    showRow(row, { state: "asking" });
    const parts = partsOf(url);
    const place = `${parts.host}:${parts.port}`;
    const result = await gather(server, (candidates, passed) => !isTurn(url) &&
      passed > kOwnAddressAfter && relays.has(place) && seesUsAsWeAre(candidates));
    if (!isTurn(url)) gathered.push(result);
    else if (parts.transport === "udp" && hasRelay(result)) relays.add(place);
    const verdict = judge(url, result, await circumstances(server, result));
    showRow(row, { state: verdict.good ? "good" : "bad", ...verdict });
    report.urls[index] = {
      url, good: verdict.good, verdict: verdict.key.split(".").pop(), ...result,
    };
  }));
  report.reflexive = gathered.flatMap(({ candidates }) => candidates)
    .filter(({ type }) => type === "srflx").map(({ address, port }) => `${address}:${port}`);
  report.local = [...new Set(gathered.flatMap(({ candidates }) => candidates)
    .filter(({ type }) => type === "host").map(({ address }) => address ?? "…"))];
}

// A browser does not tell a STUN answer that holds one of the machine's own addresses, and goes on
// asking from the others for ten seconds. Where the server sees us under such an address, and UDP to
// the same port works, there is nothing to wait for.
const seesUsAsWeAre = (candidates) =>
  candidates.some(({ type, address }) => type === "host" && address === config?.you.address);

const hasRelay = ({ candidates }) => candidates.some(({ type }) => type === "relay");

async function circumstances(server, result) {
  const [url] = server.urls;
  const parts = partsOf(url);
  const silent = result.errors.every(({ code }) => code === 701);
  const failed = !hasRelay(result);
  const unclear = isTurn(url) && parts.transport === "tls" && failed && silent;
  const tlsOpens = unclear ? await knock(parts) : null;
  const expires = Number(/^(\d{9,}):/.exec(server.username ?? "")?.[1] ?? Infinity);
  const now = config ? Date.now() / 1000 - clockOff : Date.now() / 1000;
  const ours = isOurs(parts);
  const unauthorized = result.errors.some(({ code }) => code === 401 || code === 441);
  const why = failed && unauthorized && ours ? await askWhy(server) : null;
  return { tlsOpens, listens: ours, expired: expires < now, why };
}

// TURN says 401 to everybody alike. Holders of an invitation or a key may ask this server for more.
async function askWhy({ username, credential }) {
  if (!access.proof) return null;
  try {
    const answer = await fetch("/api/ice/why", {
      method: "POST",
      headers: { Authorization: `Bearer ${access.proof}`, "Content-Type": "application/json" },
      body: JSON.stringify({ username, credential }),
      signal: inTime(),
    });
    return answer.ok ? (await answer.json()).verdict : null;
  } catch {
    return null;
  }
}

// Who is seen by the server as it sees itself needs no further test.
async function testNat() {
  if (report.urls.some(({ candidates }) => seesUsAsWeAre(candidates ?? []))) {
    report.nat = "none";
    return;
  }
  const asked = report.urls.filter(({ url }) => !isTurn(url));
  const answered = asked.length > 0 ? asked.some(({ good }) => good) : null;
  const nothing = { candidates: [], path: null };
  const observed = answered ? await observeNat(servers(), working()[0]) : nothing;
  report.nat = natOf(observed, answered);
}

// Afterwards and not along with the others: each of these is an allocation for a while, and there
// may be a quota.
async function testFamilies() {
  const own = servers().filter(({ urls: [url] }) => isOurs(partsOf(url)));
  const literal = literalServers(own, config?.addresses ?? [])
    .filter(({ urls: [url], credential }) => !isTurn(url) || credential);
  const further = await Promise.all(literal.map(async (server) => {
    const result = await gather(server);
    const [url] = server.urls;
    const { good, key } = judge(url, result);
    return { url, good, verdict: key.split(".").pop(), milliseconds: result.milliseconds };
  }));
  report.families = [...report.urls, ...further].map(({ url, good, verdict, milliseconds }) => {
    const parts = partsOf(url);
    // The answer that the browser does not tell has no time either.
    const passed = good && verdict !== "stunSame" ? milliseconds : null;
    return { kind: kindOf(parts), way: wayOf(parts), url, good, milliseconds: passed };
  });
  showFamilies();
}

// The server says itself where it listens.
function isOurs({ host, port, transport }) {
  const ours = [...(config?.iceUrls.turn ?? []), ...(config?.iceUrls.stun ?? [])].map(partsOf);
  return ours.some((one) => one.port === port && one.transport === transport &&
    (one.host === host || location.hostname === host));
}

// Through the first address that works, in the order in which the server gives them.
const working = () => {
  const good = report.urls.findIndex(({ url, good: works }) => works && isTurn(url));
  return good < 0 ? [] : [servers()[good]];
};

async function testRelay(media) {
  if (working().length === 0) {
    say(byId("loopback-note"), "diag.loopback.noRelay");
    return;
  }
  try {
    report.loopback = await loopback(working(), media, (step) =>
      say(byId("loopback-note"), `diag.loopback.${step}`));
    report.loopback.url = working()[0].urls[0];
    say(byId("loopback-note"), "diag.loopback.done", { url: report.loopback.url });
  } catch (error) {
    report.loopback = { error: error.message };
    say(byId("loopback-note"), "diag.loopback.failed");
  }
  showFigures();
}

async function testEcho(media) {
  const relayed = working();
  report.echo = access.from === "user" || !config?.echo ? { error: "no-echo" } : await echo(
    relayed.length > 0 ? relayed : servers().filter(({ urls: [url] }) => !isTurn(url)), media,
    { invitation, policy: relayed.length > 0 ? "relay" : "all" });
  showFigures();
}

// --- what it comes to

function conclude() {
  const turn = report.urls.filter(({ url }) => isTurn(url));
  const [works, fails] = [true, false].map((good) => turn.filter((one) => one.good === good).length);
  const media = report.loopback && !report.loopback.error && report.loopback.video?.frames > 0;
  report.verdict = turn.length > 0 && works + fails === 0 ? "untested"
    : works === 0 ? "nothing" : !media ? "noMedia" : fails > 0 ? "partly" : "all";
  if (Math.abs(clockOff) > kClockTolerance) report.verdict += "-clock";
  const [key] = report.verdict.split("-");
  say(byId("verdict"), `diag.conclusion.${key}`);
  if (report.verdict.endsWith("clock")) {
    say(byId("verdict-text"), "diag.conclusion.clock", { seconds: Math.abs(clockOff) });
  } else {
    say(byId("verdict-text"), `diag.conclusion.${key}.text`, { works, fails });
  }
  byId("verdict").className = key === "all" ? "good" : key === "untested" ? "" : "bad";
  showFigures();
}

// --- what is shown

function showPlan() {
  const rows = servers().map(({ urls: [url] }) => {
    const row = cloneTemplate("url-template");
    row.querySelector(".url").textContent = url;
    row.dataset.url = url;
    return row;
  });
  byId("urls").replaceChildren(...rows);
  return rows;
}

function showRow(row, { state, key, values }) {
  row.classList.toggle("good", state === "good");
  row.classList.toggle("bad", state === "bad");
  say(row.querySelector(".state"), `diag.state.${state}`);
  if (key) say(row.querySelector(".why"), key, values);
  else sayNothing(row.querySelector(".why"));
}

function showFigures() {
  const { loopback: loop, echo: told } = report;
  const figures = loop && !loop.error ? [
    ["throughput", bitRate(loop.throughput)],
    ["roundTrip", milliseconds(loop.roundTripMs)],
    ["jitter", milliseconds(loop.jitterMs)],
    ["loss", percentage(loop.loss)],
    ["picture", translate("diag.figure.frames", { count: loop.video?.frames ?? 0 })],
    ["pictureLoss", percentage(loop.video?.loss ?? 0)],
  ] : [];
  sayFacts(byId("loopback"), figures.map(([key, words]) => [`diag.figure.${key}`, words]));
  sayFacts(byId("seen-browser"), [
    ["diag.seen.local", localWords()],
    ["diag.seen.reflexive", reflexiveWords()],
    ["diag.seen.clock", new Date().toLocaleTimeString(currentLanguage())],
  ]);
  sayFacts(byId("seen-server"), seenByServer(told));
  showFamilies();
  if (report.nat) say(byId("nat"), `diag.nat.${report.nat}`);
  byId("report").textContent = report.at ? JSON.stringify(report, null, 2) : "";
}

// "…" is for what is still to come; afterwards there is a result, or why there is none.
function localWords() {
  if (!report.local) return "…";
  const plain = report.local.filter((address) => !address.endsWith(".local"));
  return plain.length > 0 ? plain.join(", ") : translate("diag.seen.hidden");
}

function reflexiveWords() {
  if (!report.reflexive) return "…";
  if (report.reflexive.length > 0) return report.reflexive.join(", ");
  const asked = report.urls.filter(({ url }) => !isTurn(url));
  if (asked.length === 0) return translate("diag.seen.noStun");
  return translate(asked.some(({ good }) => good) ? "diag.seen.same" : "diag.seen.unanswered");
}

function showFamilies() {
  const [table, all] = [byId("matrix"), report.families ?? []];
  const shown = all.some(({ way }) => way !== "name");
  setHidden(table, !shown);
  say(byId("families-note"), shown || !report.families ? "diag.families.text" : "diag.families.none");
  if (!shown) return;
  const cell = (name, words, className) => {
    const element = document.createElement(name);
    element.textContent = words;
    if (className) element.className = className;
    return element;
  };
  const row = (cells) => {
    const element = document.createElement("tr");
    element.append(...cells);
    return element;
  };
  const heads = [cell("td", ""), ...kWays.map((way) => cell("th", translate(`diag.families.${way}`)))];
  for (const head of heads.slice(1)) head.scope = "col";
  table.tHead.replaceChildren(row(heads));
  table.tBodies[0].replaceChildren(...kKinds.map((kind) => {
    const name = cell("th", translate(`diag.families.${kind}`));
    name.scope = "row";
    return row([name, ...kWays.map((way) => {
      const [words, className] = familyWords(all.filter((one) => one.kind === kind && one.way === way));
      return cell("td", words, className);
    })]);
  }));
}

function familyWords(results) {
  const tried = results.filter(({ good }) => good !== null);
  if (tried.length === 0) return ["–", "none"];
  const good = tried.find((one) => one.good);
  if (!good) return ["✕", "bad"];
  return [good.milliseconds === null ? "✓" : `✓ ${decimal(good.milliseconds)} ms`, "good"];
}

function seenByServer(told) {
  const facts = [["diag.seen.http", config?.you.address ?? "…"]];
  if (config) {
    const { tls, secure } = config.you;
    facts.push(["diag.seen.tls", tls ? `${tls.version}, ${tls.cipher}`
      : translate(secure ? "diag.seen.tlsProxy" : "diag.seen.tlsNone")]);
    facts.push(["diag.seen.difference", translate("diag.seen.seconds", { seconds: clockOff })]);
  }
  if (told?.path) {
    facts.push(["diag.seen.path", translate(`diag.seen.${told.path.type}`)],
      ["diag.seen.from", told.path.remote ?? "…"],
      ["diag.figure.roundTrip", milliseconds(told.round_trip_ms)],
      ["diag.seen.received", translate("diag.seen.traffic", {
        rate: bitRate(told.received.video?.bitrate ?? 0),
        loss: percentage(told.received.video?.loss ?? 0),
        jitter: milliseconds(told.received.video?.jitter_ms ?? 0),
      })]);
  } else if (told) {
    facts.push(["diag.seen.echo", translate("diag.seen.noEcho", { code: told.error })]);
  }
  return facts;
}

const milliseconds = (value) =>
  (value === null || value === undefined ? "…" : `${decimal(value, 1)} ms`);

async function copyReport() {
  const button = byId("copy");
  say(button, (await copyText(JSON.stringify(report, null, 2))) ? "copy.done" : "copy.failed");
  setTimeout(() => say(button, "diag.copy"), 2_000);
}

function saveReport() {
  const link = document.createElement("a");
  const url = URL.createObjectURL(new Blob([JSON.stringify(report, null, 2)], { type: "application/json" }));
  link.href = url;
  link.download = `turnpike-report-${report.at.replace(/[^\d]/g, "").slice(0, 14)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
