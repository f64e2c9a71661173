// What the start page offers to paste, with this server's own addresses filled in.

export function snippets({ base, turn }) {
  return [
    { key: "curl", code: curl(base) },
    { key: "backend", code: backend(base) },
    { key: "browser", code: browser() },
    { key: "secret", code: secret(turn) },
  ];
}

function curl(base) {
  return `curl -H "Authorization: Bearer $TURNPIKE_API_KEY" "${base}/api/ice?ttl=3600"`;
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
