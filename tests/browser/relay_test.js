// The whole way: two browser windows, one room, and the relay between them.

import assert from "node:assert/strict";

import { assertNoTroubles, connectionFacts, waitForPictures, waitForText } from "./chromium.js";
import { test } from "./testing.js";

for (const transport of ["udp", "tcp", "tls"]) {
  test(`two tabs see each other through the relay over ${transport}`, async (shared) => {
    const { server, browser, cleanUp } = shared;
    const query = { relay: "1", transport };
    const url = await server.roomUrl(`relay-${transport}`, { query });
    const [ann, ben] = [await browser.newPage(), await browser.newPage()];
    cleanUp(() => Promise.all([ann.context().close(), ben.context().close()]));
    await ann.goto(url);
    await ben.goto(url);
    for (const page of [ann, ben]) {
      const [facts, ...others] = await waitForPictures(page);
      assert.deepEqual(others, [], "one connection for one pair");
      assert.equal(facts.local, "relay");
      assert.equal(facts.remote, "relay");
      assert.equal(facts.relayProtocol, transport);
      await waitForText(page, ".tile:not(.own) .path", new RegExp(`relay/${transport} · \\d+ ms`));
    }
    await assertNoTroubles(ann, ben);
  });
}

test("three people see each other through the relay", async ({ server, browser, cleanUp }) => {
  const url = await server.roomUrl("three", { query: { relay: "1", synthetic: "1" } });
  const pages = [];
  for (let i = 0; i < 3; i += 1) pages.push(await browser.newPage());
  cleanUp(() => Promise.all(pages.map((page) => page.context().close())));
  for (const page of pages) await page.goto(url);
  for (const page of pages) {
    const facts = await waitForPictures(page, 2);
    assert.equal(facts.length, 2);
    assert.ok(facts.every(({ local, remote }) => local === "relay" && remote === "relay"));
    await waitForText(page, "#phase", /In a call with 2/);
  }
  await assertNoTroubles(...pages);
});

test("a direct path is taken when there is one, and shown", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const url = await server.roomUrl("direct", { invitation: "" });
  const [ann, ben] = [await browser.newPage(), await browser.newPage()];
  cleanUp(() => Promise.all([ann.context().close(), ben.context().close()]));
  await ann.goto(url);
  await ben.goto(url);
  await waitForPictures(ann);
  const [facts] = await connectionFacts(ann);
  assert.notEqual(facts.local, "relay");
  await waitForText(ann, ".tile:not(.own) .path", /direct · \w+\/udp/);
  await waitForText(ann, "#notice-relay", /holds no invitation/);
  await assertNoTroubles(ann, ben);
});
