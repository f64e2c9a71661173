// Starts what the conversations are held with: the real binary on a free loopback port, or, with
// REFERENCE=1, the small Node server of reference.js that proves the tests themselves.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const kRoot = resolve(fileURLToPath(import.meta.url), "../../..");
const kStartTime = 15_000;
const kStopTime = 10_000;
const kAttempts = 3;

export const isReference = process.env.REFERENCE === "1";

// A server for the tests of one file. It must be alive and well when they are over.
// recovers: clients of 4.6 and later get back what they missed (the binary always does that).
export async function startServer(options = {}, { recovers = false } = {}) {
  const server = isReference ? await startReference(recovers) : await Turnpike.start(options);
  after(() => server.stop());
  return server;
}

async function startReference(recovers) {
  const { Reference } = await import("./reference.js");
  return Reference.start({ recovers });
}

export class Turnpike {
  #folder;
  #log = [];
  #process;
  #gone;
  #options;

  static async start(options = {}) {
    const server = new Turnpike();
    server.#options = options;
    server.#folder = await mkdtemp(join(tmpdir(), "turnpike-npm-"));
    // Somebody else may take a port between the moment it was found free and ours.
    for (let attempt = 1; ; attempt += 1) {
      try {
        server.port = await freePort();
        await server.#spawn();
        return server;
      } catch (error) {
        if (attempt < kAttempts && /in use/i.test(error.message)) continue;
        await rm(server.#folder, { recursive: true, force: true });
        throw error;
      }
    }
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get socketUrl() {
    return `ws://127.0.0.1:${this.port}`;
  }

  get log() {
    return this.#log.join("");
  }

  // Resident bytes.
  memory() {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]) * 1024;
  }

  async stop() {
    if (!this.#folder) return;
    const folder = this.#folder;
    this.#folder = null;
    await this.#end();
    await rm(folder, { recursive: true, force: true });
  }

  // The same server again, on the same port.
  async restart() {
    await this.#end();
    await this.#spawn();
  }

  async #end() {
    this.#process.kill("SIGTERM");
    const late = setTimeout(() => this.#process.kill("SIGKILL"), kStopTime);
    const code = await this.#gone;
    clearTimeout(late);
    if (code !== 0) throw new Error(`the server ended with ${code}\n${this.log}`);
  }

  #spawn() {
    const options = {
      "--listening-ip": "127.0.0.1",
      "--relay-ip": "127.0.0.1",
      "--listening-port": this.port,
      "--prometheus-port": 0,
      "--public-host": "localhost",
      "--state-dir": join(this.#folder, "state"),
      ...this.#options,
    };
    const words = Object.entries(options).flatMap(
      ([name, value]) => [value].flat().flatMap((one) => [name, String(one)]));
    this.#log = [];
    const binary = process.env.TURNPIKE_BINARY ?? join(kRoot, "build/release/turnpike");
    this.#process = spawn(binary, words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: plainEnvironment(),
    });
    this.#gone = new Promise((done) => {
      this.#process.once("exit", (code, signal) => done(code ?? signal));
      this.#process.once("error", (error) => done(error.message));
    });
    this.#process.stdout.on("data", (text) => this.#log.push(String(text)));
    return new Promise((ready, failed) => {
      const fail = (reason) => {
        clearTimeout(timer);
        failed(new Error(`${binary}: ${reason}\n${this.log}`));
      };
      const timer = setTimeout(() => {
        this.#process.kill("SIGKILL");
        fail("not ready in time");
      }, kStartTime);
      this.#gone.then((code) => fail(`ended with ${code}`));
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

export async function freePort() {
  const holder = createServer();
  await new Promise((done) => holder.listen(0, "127.0.0.1", done));
  const { port } = holder.address();
  await new Promise((done) => holder.close(done));
  return port;
}
