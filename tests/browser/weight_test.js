// How much the pages weigh. What axe-core says of them is in pictures_test.js, where they are shown
// in every state.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { gzipSync } from "node:zlib";

import { test } from "./testing.js";

const kWebFolder = new URL("../../signaling/web/", import.meta.url);
const kMostCompressed = 150_000;

test("all pages together weigh less than 150 KB compressed", async ({ server }) => {
  const own = (await readdir(kWebFolder)).filter((name) => /\.(js|css|html|svg)$/.test(name));
  const paths = [...own.map((name) => `/assets/${name}`), "/client/v1.js"];
  let weight = 0;
  for (const path of paths) {
    const answer = await fetch(server.plainUrl + path);
    assert.equal(answer.status, 200, path);
    weight += gzipSync(Buffer.from(await answer.arrayBuffer()), { level: 9 }).length;
  }
  assert.ok(weight > 20_000 && weight < kMostCompressed, `${weight} bytes`);
});
