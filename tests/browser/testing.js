// A test runner small enough to read: one line for each test, a summary at the end, and everything
// that a test opened is closed after it. Tests run one after the other: each needs the machine.

import { performance } from "node:perf_hooks";

const tests = [];
const kTimeLimit = 90_000;

export function test(name, run) {
  tests.push({ name, run });
}

// Runs every test whose name contains `filter`; answers how many failed.
export async function runAll({ filter = "", shared }) {
  const chosen = tests.filter(({ name }) => name.includes(filter));
  const failed = [];
  const began = performance.now();
  for (const { name, run } of chosen) {
    const error = await runOne(run, shared, name);
    if (error) failed.push(name);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const passed = chosen.length - failed.length;
  console.log(`browser: ${passed} of ${chosen.length} passed in ${seconds} s`);
  for (const name of failed) console.log(`  failed: ${name}`);
  if (chosen.length === 0) console.log(`  no test's name contains "${filter}"`);
  // The closing words of node --test, for scripts that count.
  console.log(`# pass ${passed}\n# fail ${failed.length}`);
  return failed.length + (chosen.length === 0 ? 1 : 0);
}

async function runOne(run, shared, name) {
  const cleanups = [];
  const began = performance.now();
  let error = null;
  try {
    await withTimeLimit(run({ ...shared, cleanUp: (action) => cleanups.push(action) }));
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

async function withTimeLimit(work) {
  let timer;
  const limit = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${kTimeLimit / 1000} s`)), kTimeLimit);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
