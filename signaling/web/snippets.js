// What the start page offers to paste, with this server's own addresses filled in.

export function snippets({ base, turn, stun }) {
  const at = addressOf(turn[0]) ?? { host: "turn.example.org", port: 3478 };
  const tls = addressOf(turn.find((url) => url.startsWith("turns:")));
  return [
    { key: "module", code: module(base) },
    { key: "curl", code: curl(base) },
    { key: "backend", code: backend(base) },
    { key: "browser", code: browser() },
    { key: "secret", code: secret(turn) },
    { key: "synapse", code: synapse(turn) },
    { key: "nextcloud", code: nextcloud(at, tls) },
    { key: "jitsi", code: jitsi(at, tls) },
    { key: "janus", code: janus(base, stun) },
  ];
}

// {host, port} of "turn:host:port?transport=udp".
function addressOf(url) {
  const found = /^turns?:(\[[^\]]*\]|[^:?]*)(?::(\d+))?/.exec(url ?? "");
  if (!found) return null;
  return { host: found[1], port: Number(found[2] ?? (url.startsWith("turns:") ? 5349 : 3478)) };
}

function module(base) {
  return `import { join } from "${base}/client/v1.js";

const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
const room = await join("demo", { name: "Ann", invitation, stream });
room.on("peer", (peer) => {
  const video = Object.assign(document.createElement("video"), { autoplay: true });
  video.srcObject = peer.stream;
  document.body.append(video);
});`;
}

function curl(base) {
  return `curl -H "Authorization: Bearer $TURNPIKE_API_KEY" \\
  "${base}/api/ice?ttl=3600"`;
}

function backend(base) {
  return `import { createServer } from "node:http";

createServer(async (request, response) => {
  const answer = await fetch("${base}/api/ice?ttl=3600", {
    headers: { Authorization: \`Bearer \${process.env.TURNPIKE_API_KEY}\` },
  });
  response.writeHead(answer.status, { "Content-Type": "application/json" });
  response.end(await answer.text());
}).listen(8080);`;
}

function browser() {
  return `const answer = await fetch("/ice");  // your back end
const { iceServers } = await answer.json();
const connection = new RTCPeerConnection({ iceServers });`;
}

function secret(turn) {
  const url = turn[0] ?? "turn:turn.example.org:3478?transport=udp";
  return `secret=...   # the value of --static-auth-secret
username="$(( $(date +%s) + 3600 )):ann"
credential=$(printf %s "$username" |
  openssl dgst -sha1 -hmac "$secret" -binary | base64)
printf '{"urls":"%s","username":"%s","credential":"%s"}\\n' \\
  "${url}" "$username" "$credential"`;
}

function synapse(turn) {
  const uris = turn.length > 0 ? turn : ["turn:turn.example.org:3478?transport=udp"];
  return `# homeserver.yaml
turn_uris:
${uris.map((url) => `  - "${url}"`).join("\n")}
turn_shared_secret: "..."   # the value of --static-auth-secret
turn_user_lifetime: 1h
turn_allow_guests: false`;
}

function nextcloud(at, tls) {
  const lines = [`sudo -u www-data php occ talk:turn:add \\
  turn ${at.host}:${at.port} udp,tcp --secret "$SECRET"`];
  if (tls) {
    lines.push(`sudo -u www-data php occ talk:turn:add \\
  turns ${tls.host}:${tls.port} tcp --secret "$SECRET"`);
  }
  lines.push(`sudo -u www-data php occ talk:stun:add ${at.host}:${at.port}`);
  return lines.join("\n");
}

function jitsi(at, tls) {
  const service = ({ host, port }, kind, transport) =>
    `  { type = "${kind}", host = "${host}", port = ${port}, transport = "${transport}",
    secret = true, ttl = 3600, algorithm = "turn" };`;
  const lines = [`  { type = "stun", host = "${at.host}", port = ${at.port}, transport = "udp" };`,
    service(at, "turn", "udp")];
  if (tls) lines.push(service(tls, "turns", "tcp"));
  return `-- prosody: /etc/prosody/conf.avail/HOST.cfg.lua
-- with "external_services" in modules_enabled
external_service_secret = "..."   -- the value of --static-auth-secret
external_services = {
${lines.join("\n")}
}`;
}

function janus(base, stun) {
  const at = addressOf((stun[0] ?? "").replace(/^stun/, "turn")) ??
    { host: "turn.example.org", port: 3478 };
  return `# janus.jcfg
nat: {
    stun_server = "${at.host}"
    stun_port = ${at.port}
    turn_rest_api = "${base}/turn"
    turn_rest_api_key = "..."      # an API key
    turn_rest_api_method = "GET"
}`;
}
