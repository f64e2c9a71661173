// Debian's Firefox with an empty profile that trusts this run's certificate, driven by WebDriver
// BiDi. It is here for what only Firefox does: it relays by Send and Data indications alone.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";

const run = promisify(execFile);
const kExecutable = process.env.FIREFOX ?? "/usr/bin/firefox-esr";

const kPreferences = {
  // Its panel would keep the keyboard's focus, also from windows that are opened later.
  "browser.download.alwaysOpenPanel": false,
  "media.peerconnection.ice.loopback": true,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "network.proxy.type": 0,
};

export class Firefox {
  static executable = kExecutable;
  #folder;
  #browser;

  static async start({ authority }) {
    const started = new Firefox();
    started.#folder = await mkdtemp(join(tmpdir(), "turnpike-firefox-"));
    const profile = join(started.#folder, "profile");
    await mkdir(profile);
    await run("certutil", ["-d", `sql:${profile}`, "-N", "--empty-password"]);
    await run("certutil", ["-d", `sql:${profile}`, "-A", "-t", "CP,,", "-n", "turnpike",
      "-i", authority]);
    started.#browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: kExecutable,
      headless: true,
      userDataDir: profile,
      extraPrefsFirefox: kPreferences,
      env: { ...process.env, HOME: started.#folder, TMPDIR: started.#folder },
    });
    return started;
  }

  version() {
    return this.#browser.version();
  }

  get running() {
    return this.#browser.connected;
  }

  // In a window of its own, as if on another machine, until the test's end.
  async newPage({ cleanUp }) {
    const context = await this.#browser.createBrowserContext();
    cleanUp(() => context.close());
    return context.newPage();
  }

  async stop() {
    await this.#browser.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
