// The connection test in Firefox, for those who run this in another network than their own:
//
//   node diag_visitor.js AUTHORITY URL    prints {report, words}

import { pathToFileURL } from "node:url";

import { until } from "./chromium.js";
import { Firefox } from "./firefox.js";

const kPatience = 150_000;

// What a page of the connection test, of either browser, has found in the end.
export const findings = (page) => until("a report", () => page.evaluate(() => {
  const done = !document.getElementById("copy").disabled;
  const text = document.getElementById("report").textContent;
  const words = document.getElementById("nat").textContent;
  return done && text ? { report: JSON.parse(text), words } : null;
}), kPatience);

async function visit(authority, url) {
  const cleanups = [];
  const browser = await Firefox.start({ authority });
  try {
    const page = await browser.newPage({ cleanUp: (action) => cleanups.push(action) });
    await page.goto(url);
    console.log(JSON.stringify(await findings(page)));
    for (const action of cleanups) await action();
  } finally {
    await browser.stop();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await visit(...process.argv.slice(2));
