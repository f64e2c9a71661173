// Browser tests: node run.js [part of a test's name]
//
//   TURNPIKE_BINARY   the server under test (build/release/turnpike)
//   CHROMIUM          the browser (/usr/bin/chromium)

import { Chromium } from "./chromium.js";
import { runAll } from "./testing.js";
import { binaryPath, Turnpike } from "./turnpike.js";

import "./pages_test.js";
import "./relay_test.js";
import "./call_test.js";
import "./trouble_test.js";
import "./pictures_test.js";

const server = await Turnpike.start();
let failures = 1;
try {
  const browser = await Chromium.start({ certificate: server.certificate });
  console.log(`browser: Chromium ${browser.version} against ${binaryPath()}`);
  try {
    failures = await runAll({ filter: process.argv[2], shared: { server, browser } });
  } finally {
    await browser.stop();
  }
} finally {
  const code = await server.stop();
  if (code !== 0) {
    console.log(`browser: the server ended with ${code}`);
    failures += 1;
  }
  if (failures > 0) console.log(server.log.replace(/^/gm, "      "));
}
process.exitCode = failures > 0 ? 1 : 0;
