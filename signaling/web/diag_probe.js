// One ICE address at a time: what the browser gathers there, and what that means in plain words.
// No DOM in here.

const kGatherPatience = 12_000;
const kSocketPatience = 6_000;
const kQuickly = 3_000;
const kLookEvery = 250;
// What else may come after the server has refused on one of the ways there.
const kAfterRefusal = 1_000;
// Codes of TURN (RFC 8656 section 18) that a person can do something about.
const kRefusals = { 403: "forbidden", 486: "quota", 508: "capacity" };

// The rows and columns of the table of families.
export const kKinds = ["stun-udp", "turn-udp", "turn-tcp", "turn-tls"];
export const kWays = ["name", "ipv4", "ipv6"];

export const isTurn = (url) => /^turns?:/.test(url);

// What the server says of refused credentials (docs/signaling.md), where it does.
const kReasons = {
  "good": "revoked",
  "expired": "expired",
  "wrong-password": "wrongPassword",
  "unknown-user": "unknownUser",
};

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

// How a URL leads to its server: by a name, or by an address of a family.
export function wayOf({ host }) {
  return host.startsWith("[") ? "ipv6" : isAddress(host) ? "ipv4" : "name";
}

export const kindOf = ({ scheme, transport }) => `${scheme.replace(/s$/, "")}-${transport}`;

// The server's own URLs again, with its addresses in place of its name. Not TLS: certificates are
// for names.
export function literalServers(servers, addresses) {
  return addresses.flatMap((address) => servers.flatMap((server) => {
    const [url] = server.urls;
    const parts = partsOf(url);
    const host = address.includes(":") ? `[${address}]` : address;
    if (!parts || parts.transport === "tls" || parts.host === host) return [];
    return [{ ...server, urls: [url.replace(parts.host, () => host)] }];
  }));
}

const isAddress = (host) => host.startsWith("[") || /^\d+\.\d+\.\d+\.\d+$/.test(host);

const isRefusal = ({ code }) => code >= 300 && code < 700;

// What the browser gathers with this one server: {candidates, errors, milliseconds, complete}.
// Gathering can last until every interface of the machine has given up; `enough` says whether what
// there is will do: enough(candidates, milliseconds). It is not complete when our patience has
// ended it: silence is no answer then.
export async function gather(server, enough = () => false) {
  const url = [server.urls].flat()[0];
  const wanted = isTurn(url) ? "relay" : "srflx";
  const connection = new RTCPeerConnection({
    iceServers: [server], iceTransportPolicy: isTurn(url) ? "relay" : "all",
  });
  const candidates = [];
  const errors = [];
  const began = performance.now();
  const passed = () => Math.round(performance.now() - began);
  let looking = 0;
  let complete = false;
  try {
    await new Promise((done, failed) => {
      const timer = setTimeout(done, kGatherPatience);
      const end = () => {
        clearTimeout(timer);
        complete = true;
        done();
      };
      looking = setInterval(() => enough(candidates, passed()) && end(), kLookEvery);
      connection.addEventListener("icecandidate", ({ candidate }) => {
        if (!candidate) return end();
        if (candidate.candidate) candidates.push(factsOf(candidate));
        if (candidate.type === wanted) end();
      });
      connection.addEventListener("icecandidateerror", ({ errorCode, errorText, address }) => {
        const error = { code: errorCode, text: errorText, from: address ?? null };
        errors.push(error);
        if (isRefusal(error)) setTimeout(end, kAfterRefusal);
      });
      connection.createDataChannel("probe");
      connection.createOffer().then((offer) => connection.setLocalDescription(offer)).catch(failed);
    });
  } catch (error) {
    errors.push({ code: 0, text: error.message, from: null });
  } finally {
    clearInterval(looking);
    connection.close();
  }
  return { candidates, errors, milliseconds: passed(), complete };
}

export function factsOf({ type, address, port, protocol, relayProtocol, relatedAddress, relatedPort }) {
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
export function judge(url, gathered, { tlsOpens, listens, expired, why } = {}) {
  const { candidates, errors, milliseconds, complete } = gathered;
  const parts = partsOf(url);
  const found = candidates.find(({ type }) => type === (isTurn(url) ? "relay" : "srflx"));
  const good = (key, values) => ({ good: true, key: `diag.verdict.${key}`, values });
  const bad = (key, values = {}) => ({ good: false, key: `diag.verdict.${key}`, values });
  if (found) {
    const address = found.address ? `${found.address}:${found.port}` : "…";
    return good(isTurn(url) ? "relay" : "stun", { address, milliseconds });
  }
  const refused = errors.find(isRefusal);
  if (refused?.code === 401 || refused?.code === 441 || refused?.code === 438) {
    return bad(kReasons[why] ?? (expired ? "expired" : "credential"), refused);
  }
  if (refused) return bad(kRefusals[refused.code] ?? "refused", refused);
  if (errors.some(({ code }) => code === 0)) return bad("invalid", errors[0]);
  if (errors.some(({ text }) => /lookup|resolv/i.test(text))) return bad("name", { host: parts.host });
  // Firefox says nothing at all when it is asked for TLS to an address.
  if (parts.transport === "tls" && errors.length === 0 && isAddress(parts.host)) {
    return bad("tlsNeedsName");
  }
  const answered = complete && errors.length === 0 && candidates.length > 0;
  if (!isTurn(url) && answered) return good("stunSame", {});
  if (parts.transport === "udp") return bad("blockedUdp", parts);
  if (parts.transport === "tcp") return bad("blockedTcp", parts);
  if (tlsOpens) return bad("tlsTurn", parts);
  // The server listens there, and whatever stops us answers at once: no firewall that drops.
  const certificate = listens && milliseconds < kQuickly;
  return bad(certificate ? "certificate" : "blockedOrCertificate", parts);
}
