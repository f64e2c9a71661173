// Browser tests: node run.js [part of a test's name]
//
//   TURNPIKE_BINARY   the server under test (build/release/turnpike)
//   CHROMIUM          the browser (/usr/bin/chromium)
//   FIREFOX           the other browser (/usr/bin/firefox-esr)
//   TUTORIALS_DIR     the texts of five tutorials, for tutorials_own_test.js (none: skipped)

import { Chromium } from "./chromium.js";
import { Firefox } from "./firefox.js";
import { runAll } from "./testing.js";
import { binaryPath, Turnpike } from "./turnpike.js";

import "./pages_test.js";
import "./relay_test.js";
import "./paths_test.js";
import "./call_test.js";
import "./echo_test.js";
import "./trouble_test.js";
import "./features_test.js";
import "./keyboard_test.js";
import "./weight_test.js";
import "./client_test.js";
import "./diag_test.js";
import "./nat_test.js";
import "./roaming_test.js";
import "./stats_test.js";
import "./pictures_test.js";
import "./tutorials_test.js";
import "./tutorials_own_test.js";

async function main() {
  const server = await Turnpike.start();
  try {
    const failures = await runIn(server);
    if (failures > 0) console.log(server.log.replace(/^/gm, "      "));
    const code = await server.stop();
    if (code === 0) return failures;
    console.log(`browser: the server ended with ${code}\n# fail 1`);
    return failures + 1;
  } finally {
    await server.stop();
  }
}

async function runIn(server) {
  // The first test that needs it starts it, and after a crash the next one.
  let firefox = null;
  const openFirefox = async () => {
    if (!firefox?.running) firefox = await Firefox.start({ authority: server.authority });
    return firefox;
  };
  const browser = await Chromium.start({ authority: server.authority });
  try {
    console.log(`browser: Chromium ${browser.version} against ${binaryPath()}`);
    return await runAll({ filter: process.argv[2], shared: { server, browser, openFirefox } });
  } finally {
    await firefox?.stop();
    await browser.stop();
  }
}

main().then(
  (failures) => {
    process.exitCode = failures > 0 ? 1 : 0;
  },
  (error) => {
    console.log(`browser: ${error.message}\n# pass 0\n# fail 1`);
    process.exitCode = 1;
  },
);
