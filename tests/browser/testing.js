// A test runner small enough to read: one line for each test, a summary at the end, and everything
// that a test opened is closed after it. Tests run one after the other: each needs the machine.

import { performance } from "node:perf_hooks";

const tests = [];
const kTimeLimit = 90_000;

export function test(name, run, { limit = kTimeLimit } = {}) {
  tests.push({ name, run, limit });
}

// A test that cannot run here.
export function skipped(name, why) {
  tests.push({ name, why });
}

// Runs every test whose name contains `filter`; answers how many failed.
export async function runAll({ filter = "", shared }) {
  const chosen = tests.filter(({ name }) => name.includes(filter));
  const failed = [];
  const began = performance.now();
  const skips = chosen.filter(({ why }) => why);
  for (const { name, why } of skips) console.log(`skip  ${name}: ${why}`);
  for (const one of chosen.filter(({ why }) => !why)) {
    const error = await runOne(one, shared);
    if (error) failed.push(one.name);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const passed = chosen.length - skips.length - failed.length;
  console.log(`browser: ${passed} of ${chosen.length - skips.length} passed in ${seconds} s`);
  for (const name of failed) console.log(`  failed: ${name}`);
  if (chosen.length === 0) console.log(`  no test's name contains "${filter}"`);
  // The closing words of node --test, for scripts that count.
  console.log(`# pass ${passed}\n# fail ${failed.length}\n# skipped ${skips.length}`);
  return failed.length + (chosen.length === 0 ? 1 : 0);
}

async function runOne({ name, run, limit }, shared) {
  const cleanups = [];
  const began = performance.now();
  let error = null;
  try {
    await withTimeLimit(run({ ...shared, cleanUp: (action) => cleanups.push(action) }), limit);
  } catch (caught) {
    error = caught;
  }
  for (const action of cleanups.reverse()) {
    try {
      await action();
    } catch (caught) {
      error ??= caught;
    }
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${error ? "FAIL" : "ok  "}  ${name} (${seconds} s)`);
  if (error) console.log(String(error.stack ?? error).replace(/^/gm, "      "));
  return error;
}

async function withTimeLimit(work, limit) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
