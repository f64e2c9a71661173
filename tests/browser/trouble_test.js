// What goes wrong: lost connections, bad invitations, full rooms.

import assert from "node:assert/strict";

import {
  assertNoTroubles, connectionFacts, until, waitForPictures, waitForText,
} from "./chromium.js";
import { cuttableWay } from "./cuttable_way.js";
import { lookAt } from "./looks.js";
import { test } from "./testing.js";
import { Turnpike } from "./turnpike.js";

test("a lost connection is resumed while the call goes on", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const way = await cuttableWay(server.port);
  const [ann, ben] = [await browser.newPage(), await browser.newPage()];
  cleanUp(() => way.close());
  cleanUp(() => Promise.all([ann.context().close(), ben.context().close()]));
  const invitation = await server.invitation("resume");
  const query = { relay: "1", transport: "udp" };
  await ann.goto(await server.roomUrl("resume", { base: way.url, invitation, query }));
  await ben.goto(await server.roomUrl("resume", { invitation, query: { ...query, name: "Ben" } }));
  await waitForPictures(ann);
  way.cut();
  await waitForText(ann, "#phase", /Connection to the server lost/);
  await waitForText(ann, "#notice-lost", /does not answer/);
  await waitForText(ben, ".tile:not(.own) .tile-state", /Away/);
  await lookAt(ann, "lost");
  await waitForPictures(ann);
  way.mend();
  await waitForText(ann, "#phase", /In a call with 1/);
  await waitForText(ben, "#phase", /In a call with 1/);
  await ben.locator(".tile:not(.own) .tile-state").waitFor({ state: "hidden" });
  await waitForPictures(ben);
  assert.equal((await connectionFacts(ann)).length, 1, "the same connection goes on");
  await assertNoTroubles(ben);
});

test("a call comes back by itself after the server was killed", async ({ browser, cleanUp }) => {
  const server = await Turnpike.start();
  cleanUp(() => server.stop());
  const query = { relay: "1", transport: "udp", synthetic: "1" };
  const url = await server.roomUrl("phoenix", { base: server.plainUrl, query });
  const [ann, ben] = [await browser.newPage(), await browser.newPage()];
  cleanUp(() => Promise.all([ann.context().close(), ben.context().close()]));
  for (const page of [ann, ben]) await page.goto(url);
  await waitForPictures(ann);
  await server.restart();
  for (const page of [ann, ben]) {
    await until("a new connection", () =>
      page.evaluate(() => window.rememberedConnections.length > 1));
    await waitForText(page, "#phase", /In a call with 1/);
    const facts = await waitForPictures(page);
    assert.equal(facts.length, 1, "the old connection is closed");
    assert.equal(facts[0].local, "relay");
  }
});

test("a bad invitation is refused, and the room works without the relay", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  await page.goto(await server.roomUrl("forged", { invitation: await server.invitation("other") }));
  await waitForText(page, "#over-title", /This invitation does not count/);
  await lookAt(page, "refused");
  await page.locator("#without-relay").click();
  await waitForText(page, "#phase", /Waiting for others/);
  await waitForText(page, "#notice-relay", /no relay/);
  await assertNoTroubles(page);
});

test("a full room says so", async ({ server, browser, cleanUp }) => {
  const crowd = await browser.newPage();
  cleanUp(() => crowd.context().close());
  await crowd.goto(server.plainUrl);
  await crowd.evaluate(() => Promise.all(Array.from({ length: 64 }, () =>
    new Promise((inside, failed) => {
      const socket = new WebSocket(`ws://${location.host}/ws`);
      socket.onopen = () => socket.send('{"type":"join","room":"crowded"}');
      socket.onmessage = ({ data }) =>
        JSON.parse(data).type === "joined" ? inside() : failed(new Error(data));
    }))));
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  await page.goto(await server.roomUrl("crowded"));
  await waitForText(page, "#over-title", /The room is full/);
  await lookAt(page, "full");
  await assertNoTroubles(page);
});

test("a relay that was asked for and cannot be had is explained", async (shared) => {
  const { server, browser, cleanUp } = shared;
  const page = await browser.newPage();
  cleanUp(() => page.context().close());
  await page.goto(await server.roomUrl("no-relay", { invitation: "", query: { relay: "1" } }));
  await waitForText(page, "#notice-relay", /\?relay=1.*gives none/);
  await assertNoTroubles(page);
});
