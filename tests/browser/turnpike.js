// Starts the real binary on free loopback ports, with a certificate made for this run, and asks its
// API for invitations.

import { execFile, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const kRoot = resolve(fileURLToPath(import.meta.url), "../../..");
const kStartTime = 15_000;
export const kApiKey = "browser-tests-only-0123456789abcdef";
// A name without TLS and without the secure context that browsers give to localhost.
export const kPlainName = "turn.test";

export function binaryPath() {
  return process.env.TURNPIKE_BINARY ?? join(kRoot, "build/release/turnpike");
}

// The authority that signs the certificates of every server of this run, so that one browser can
// visit them all. Its folder goes with the process.
let authority = null;

async function makeAuthority() {
  const folder = await mkdtemp(join(tmpdir(), "turnpike-authority-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const made = { certificate: join(folder, "authority.pem"), key: join(folder, "authority-key.pem") };
  await makeCertificate("-subj", "/CN=Turnpike browser tests", "-keyout", made.key,
    "-out", made.certificate);
  return made;
}

const makeCertificate = (...options) => run("openssl", [
  "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
  "-days", "2", ...options,
]);

export class Turnpike {
  #process;
  #folder;
  #log = [];
  #options;
  #prefix;

  // With further options, by name. With a `prefix` it runs by that command, as in a network namespace.
  static async start(options = {}, { prefix = [] } = {}) {
    const server = new Turnpike();
    server.#options = options;
    server.#prefix = prefix;
    server.#folder = await mkdtemp(join(tmpdir(), "turnpike-browser-"));
    try {
      await server.#getCertificate();
      [server.port, server.tlsPort] = await freePorts(2);
      await server.#spawn();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get plainUrl() {
    return `http://localhost:${this.port}`;
  }

  get secureUrl() {
    return `https://localhost:${this.tlsPort}`;
  }

  get log() {
    return this.#log.join("");
  }

  async invitation(...rooms) {
    const answer = await fetch(`http://127.0.0.1:${this.port}/api/invitations`, {
      method: "POST",
      headers: { Authorization: `Bearer ${kApiKey}`, "Content-Type": "application/json" },
      body: JSON.stringify({ rooms, ttl: 3600 }),
    });
    if (!answer.ok) throw new Error(`/api/invitations answered ${answer.status}`);
    return (await answer.json()).invitation;
  }

  // The address of a room, entered at once, with an invitation unless `invitation` is given (or empty: none).
  async roomUrl(room, { base = this.secureUrl, query = {}, invitation } = {}) {
    const url = new URL(`${base}/call/${encodeURIComponent(room)}`);
    for (const [name, value] of Object.entries({ prejoin: "0", ...query })) url.searchParams.set(name, value);
    const key = invitation ?? (await this.invitation(room));
    if (key) url.hash = `k=${key}`;
    return url.href;
  }

  // The same server again, after an end without goodbye.
  async restart() {
    const child = this.#process;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
    await this.#spawn();
  }

  // Answers the exit code, or the signal that ended it.
  async stop() {
    const child = this.#process;
    if (child?.pid && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await gone;
    }
    await rm(this.#folder, { recursive: true, force: true });
    return child?.exitCode ?? child?.signalCode;
  }

  // By an authority, as operators have. Browsers trust the authority.
  async #getCertificate() {
    authority ??= makeAuthority();
    const { certificate, key } = await authority;
    this.authority = certificate;
    const file = (name) => join(this.#folder, name);
    await makeCertificate("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
      "-addext", "basicConstraints=critical,CA:FALSE", "-CA", certificate, "-CAkey", key,
      "-keyout", file("key.pem"), "-out", file("cert.pem"));
  }

  #spawn() {
    const options = {
      "--listening-ip": "127.0.0.1",
      "--relay-ip": "127.0.0.1",
      "--listening-port": this.port,
      "--prometheus-port": 0,
      "--tls-listening-port": this.tlsPort,
      "--cert": join(this.#folder, "cert.pem"),
      "--pkey": join(this.#folder, "key.pem"),
      "--public-host": "localhost",
      "--api-key": kApiKey,
      "--state-dir": join(this.#folder, "state"),
      ...this.#options,
    };
    const words = Object.entries(options).flatMap(([name, value]) =>
      [value].flat().flatMap((one) => (one === true ? [name] : [name, String(one)])));
    const [program, ...rest] = [...this.#prefix, binaryPath(), ...words];
    this.#process = spawn(program, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: plainEnvironment(),
    });
    this.#log = [];
    this.#process.stdout.on("data", (text) => this.#log.push(String(text)));
    return new Promise((ready, failed) => {
      const fail = (reason) => {
        clearTimeout(timer);
        failed(new Error(`${binaryPath()}: ${reason}\n${this.log}`));
      };
      const timer = setTimeout(() => fail("not ready in time"), kStartTime);
      this.#process.on("error", (error) => fail(error.message));
      this.#process.on("exit", (code) => fail(`ended with ${code}`));
      this.#process.stderr.on("data", (text) => {
        this.#log.push(String(text));
        if (!/\bready\b/.test(this.log)) return;
        clearTimeout(timer);
        ready();
      });
    });
  }
}

// The server reads options from TURNPIKE_... and refuses those that it does not know.
function plainEnvironment() {
  const ours = ([name]) => !name.startsWith("TURNPIKE_");
  return Object.fromEntries(Object.entries(process.env).filter(ours));
}

// Ports that were free a moment ago. All are held at once, so that they differ.
export async function freePorts(count) {
  const holders = [];
  for (let i = 0; i < count; i += 1) {
    const holder = createServer();
    await new Promise((done) => holder.listen(0, "127.0.0.1", done));
    holders.push(holder);
  }
  const ports = holders.map((holder) => holder.address().port);
  await Promise.all(holders.map((holder) => new Promise((done) => holder.close(done))));
  return ports;
}
