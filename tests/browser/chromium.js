// Debian's Chromium with an empty profile, a fake camera, and trust in this run's certificate; and
// what tests ask of a page.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

import { kPlainName } from "./turnpike.js";

const run = promisify(execFile);
const kExecutable = process.env.CHROMIUM ?? "/usr/bin/chromium";

const kFlags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--allow-loopback-in-peer-connection",
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  `--host-resolver-rules=MAP ${kPlainName} 127.0.0.1`,
];

export class Chromium {
  #folder;
  #browser;

  // With a `prefix` the browser runs by that command, as in a network namespace.
  static async start({ authority, prefix = [], flags = [] }) {
    const started = new Chromium();
    started.#folder = await mkdtemp(join(tmpdir(), "turnpike-chromium-"));
    await started.#trust(authority);
    started.#browser = await chromium.launch({
      executablePath: prefix.length > 0 ? await started.#wrap(prefix) : kExecutable,
      headless: true,
      args: [...kFlags, ...flags],
      // PulseAudio's and Chromium's own temporary files go with the folder.
      env: {
        ...process.env,
        HOME: started.#folder,
        TMPDIR: started.#folder,
        PULSE_RUNTIME_PATH: started.#folder,
      },
    });
    return started;
  }

  get version() {
    return this.#browser.version();
  }

  // A window of its own, as if on another machine: nothing is shared with other windows.
  async newPage(options = {}) {
    const context = await this.#browser.newContext({ locale: "en-GB", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000); // as patient with a busy machine as until() is
    page.troubles = [];
    page.on("console", (message) => {
      if (message.type() === "error") page.troubles.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => page.troubles.push(`exception: ${error.message}`));
    page.on("requestfailed", (request) => page.troubles.push(`request: ${request.url()}`));
    await page.addInitScript(rememberConnections);
    return page;
  }

  async stop() {
    await this.#browser.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  // Commands and options are given over a pipe, which goes through.
  async #wrap(prefix) {
    const script = join(this.#folder, "chromium.sh");
    await writeFile(script, `#!/bin/sh\nexec ${[...prefix, kExecutable].join(" ")} "$@"\n`, { mode: 0o755 });
    return script;
  }

  // Chromium on Linux reads the authorities that it trusts from the NSS database in HOME.
  async #trust(authority) {
    const database = join(this.#folder, ".pki/nssdb");
    await mkdir(database, { recursive: true });
    await run("certutil", ["-d", `sql:${database}`, "-N", "--empty-password"]);
    await run("certutil", ["-d", `sql:${database}`, "-A", "-t", "CP,,", "-n", "turnpike",
      "-i", authority]);
  }
}

// Runs in the page before its own scripts: keeps the connections where tests can ask them, and
// counts what the content security policy refused.
function rememberConnections() {
  const Original = window.RTCPeerConnection;
  window.rememberedConnections = [];
  window.RTCPeerConnection = class extends Original {
    constructor(...settings) {
      super(...settings);
      window.rememberedConnections.push(this);
    }
  };
  window.policyViolations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    window.policyViolations.push(`${event.violatedDirective} ${event.blockedURI}`);
  });
}

export async function assertNoTroubles(...pages) {
  for (const page of pages) {
    assert.deepEqual(page.troubles, [], "console errors, exceptions or failed requests");
    assert.deepEqual(await page.evaluate(() => window.policyViolations), [], "CSP violations");
  }
}

// Asks again until `question` answers something true, and answers that.
export async function until(what, question, patience = 40_000) {
  const end = Date.now() + patience;
  let last;
  while (Date.now() < end) {
    last = await question();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  throw new Error(`waited ${patience / 1000} s for: ${what}`);
}

// For every open connection of the page: frames decoded and the selected pair, from getStats.
export function connectionFacts(page) {
  return page.evaluate(async () => {
    const open = window.rememberedConnections.filter(
      (connection) => connection.connectionState !== "closed");
    return Promise.all(open.map(async (connection) => {
      const report = await connection.getStats();
      const entries = [...report.values()];
      const transport = entries.find((entry) => entry.type === "transport");
      const pair = report.get(transport?.selectedCandidatePairId);
      const local = pair && report.get(pair.localCandidateId);
      const remote = pair && report.get(pair.remoteCandidateId);
      const video = entries.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
      return {
        state: connection.connectionState,
        framesDecoded: video?.framesDecoded ?? 0,
        local: local?.candidateType,
        remote: remote?.candidateType,
        relayProtocol: local?.relayProtocol,
        url: local?.url,
      };
    }));
  });
}

// Waits until `count` pictures of others are decoded, and goes on being decoded.
export async function waitForPictures(page, count = 1) {
  const decoded = async (atLeast) => {
    const facts = await connectionFacts(page);
    const playing = facts.filter(({ framesDecoded }) => framesDecoded > atLeast);
    return playing.length >= count ? facts : null;
  };
  const first = await until("a picture of the others", () => decoded(0));
  const seen = Math.max(...first.map(({ framesDecoded }) => framesDecoded));
  return until("more frames of it", () => decoded(seen));
}

export async function waitForText(page, selector, pattern) {
  let text = "";
  try {
    await until("text", async () => {
      text = await page.locator(selector).innerText({ timeout: 20_000 });
      return pattern.test(text);
    });
  } catch (error) {
    throw new Error(`${selector}: waited for ${pattern}, saw "${text}" (${error.message})`);
  }
}
