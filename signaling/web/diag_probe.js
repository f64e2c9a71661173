// One ICE address at a time: what the browser gathers there, and what that means in plain words.
// No DOM in here.

const kGatherPatience = 12_000;
const kSocketPatience = 6_000;
const kQuickly = 3_000;
// Codes of TURN (RFC 8656 section 18) that a person can do something about.
const kRefusals = { 403: "forbidden", 486: "quota", 508: "capacity" };

export const isTurn = (url) => /^turns?:/.test(url);

// {scheme, host, port, transport: "udp" | "tcp" | "tls"}
export function partsOf(url) {
  const [, scheme, host, port, query] =
    /^(stuns?|turns?):(\[[^\]]*\]|[^:?]*)(?::(\d+))?(?:\?(.*))?$/.exec(url) ?? [];
  if (!scheme) return null;
  const secure = scheme.endsWith("s");
  const named = new URLSearchParams(query ?? "").get("transport");
  const transport = secure ? "tls" : named === "tcp" ? "tcp" : "udp";
  return { scheme, host, port: Number(port ?? (secure ? 5349 : 3478)), transport };
}

const isAddress = (host) => host.startsWith("[") || /^\d+\.\d+\.\d+\.\d+$/.test(host);

// What the browser gathers with this one server: {candidates, errors, milliseconds}.
export async function gather(server) {
  const url = [server.urls].flat()[0];
  const wanted = isTurn(url) ? "relay" : "srflx";
  const connection = new RTCPeerConnection({
    iceServers: [server], iceTransportPolicy: isTurn(url) ? "relay" : "all",
  });
  const candidates = [];
  const errors = [];
  const began = performance.now();
  try {
    await new Promise((done, failed) => {
      const timer = setTimeout(done, kGatherPatience);
      const end = () => {
        clearTimeout(timer);
        done();
      };
      connection.addEventListener("icecandidate", ({ candidate }) => {
        if (!candidate) return end();
        if (candidate.candidate) candidates.push(factsOf(candidate));
        if (candidate.type === wanted) end();
      });
      connection.addEventListener("icecandidateerror", ({ errorCode, errorText, address }) =>
        errors.push({ code: errorCode, text: errorText, from: address ?? null }));
      connection.createDataChannel("probe");
      connection.createOffer().then((offer) => connection.setLocalDescription(offer)).catch(failed);
    });
  } catch (error) {
    errors.push({ code: 0, text: error.message, from: null });
  } finally {
    connection.close();
  }
  return { candidates, errors, milliseconds: Math.round(performance.now() - began) };
}

function factsOf({ type, address, port, protocol, relayProtocol, relatedAddress, relatedPort }) {
  return { type, address, port, protocol, relayProtocol, relatedAddress, relatedPort };
}

// Whether the browser gets through TLS to that port: every port of the server speaks HTTP inside.
export function knock({ host, port }) {
  return new Promise((done) => {
    const socket = new WebSocket(`wss://${host}:${port}/diag`);
    const timer = setTimeout(() => finish(false), kSocketPatience);
    const finish = (open) => {
      clearTimeout(timer);
      done(open);
      socket.close();
    };
    socket.addEventListener("open", () => finish(true));
    socket.addEventListener("error", () => finish(false));
  });
}

// {good, key, values}: `key` names a sentence, "diag.verdict...".
export function judge(url, { candidates, errors, milliseconds }, { tlsOpens, listens, expired } = {}) {
  const parts = partsOf(url);
  const found = candidates.find(({ type }) => type === (isTurn(url) ? "relay" : "srflx"));
  const good = (key, values) => ({ good: true, key: `diag.verdict.${key}`, values });
  const bad = (key, values = {}) => ({ good: false, key: `diag.verdict.${key}`, values });
  if (found) {
    const address = found.address ? `${found.address}:${found.port}` : "…";
    return good(isTurn(url) ? "relay" : "stun", { address, milliseconds });
  }
  const refused = errors.find(({ code }) => code >= 300 && code < 700);
  if (refused?.code === 401 || refused?.code === 441 || refused?.code === 438) {
    return bad(expired ? "expired" : "credential", refused);
  }
  if (refused) return bad(kRefusals[refused.code] ?? "refused", refused);
  if (errors.some(({ code }) => code === 0)) return bad("invalid", errors[0]);
  if (errors.some(({ text }) => /lookup|resolv/i.test(text))) return bad("name", { host: parts.host });
  // Firefox says nothing at all when it is asked for TLS to an address.
  if (parts.transport === "tls" && errors.length === 0 && isAddress(parts.host)) {
    return bad("tlsNeedsName");
  }
  if (!isTurn(url) && errors.length === 0 && candidates.length > 0) return good("stunSame", {});
  if (parts.transport === "udp") return bad("blockedUdp", parts);
  if (parts.transport === "tcp") return bad("blockedTcp", parts);
  if (tlsOpens) return bad("tlsTurn", parts);
  // The server listens there, and whatever stops us answers at once: no firewall that drops.
  const certificate = listens && milliseconds < kQuickly;
  return bad(certificate ? "certificate" : "blockedOrCertificate", parts);
}

// From the STUN answers: what kind of translation is on the way.
export function natHint(gathered, seenAddress) {
  const all = gathered.flatMap(({ candidates }) => candidates);
  const mapped = all.filter(({ type }) => type === "srflx");
  const hosts = all.filter(({ type, address }) => type === "host" && address);
  if (hosts.some(({ address }) => address === seenAddress)) return "none";
  if (mapped.length === 0) return "unknown";
  const byLocal = new Map();
  for (const { relatedPort, port, address } of mapped) {
    if (!relatedPort) continue;
    const ports = byLocal.get(relatedPort) ?? new Set();
    byLocal.set(relatedPort, ports.add(`${address}:${port}`));
  }
  if ([...byLocal.values()].some((ports) => ports.size > 1)) return "symmetric";
  return mapped.some(({ relatedPort, port }) => relatedPort && relatedPort === port)
    ? "preserving" : "some";
}
