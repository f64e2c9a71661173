// What a conversation test needs: a test with a time limit that closes what it opened, and an inbox
// that keeps what a client heard in the order in which it heard it.

import assert from "node:assert/strict";
import { test } from "node:test";

const kTestTime = 30_000;
const kPatience = 8_000;

// `run` gets { cleanUp, t }: what cleanUp is given runs after the test, the latest first.
export function conversation(name, run, { skip = false } = {}) {
  test(name, { timeout: kTestTime, skip }, async (t) => {
    const actions = [];
    try {
      await run({ cleanUp: (action) => actions.push(action), t });
    } finally {
      for (const action of actions.reverse()) await action();
    }
  });
}

export async function withPatience(what, promise, patience = kPatience) {
  let timer;
  const limit = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience / 1000} s for ${what}`)),
      patience);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export class Inbox {
  #items = [];
  #wake = null;

  constructor(owner) {
    this.owner = owner;
  }

  put(item) {
    this.#items.push(item);
    this.#wake?.();
  }

  get size() {
    return this.#items.length;
  }

  async next(what = "something") {
    while (this.#items.length === 0) {
      const filled = new Promise((resolve) => {
        this.#wake = resolve;
      });
      await withPatience(`${what} at ${this.owner}`, filled);
    }
    return this.#items.shift();
  }

  // The very next things heard are these, in this order: so nothing else came before or between.
  async expect(...items) {
    for (const item of items) {
      const heard = await this.next(JSON.stringify(item));
      assert.deepEqual(heard, item, `heard by ${this.owner}`);
    }
  }
}

export async function together(count, make) {
  return Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

// A session description of the usual size, different for each `mark`.
export function description(type, mark) {
  const lines = Array.from({ length: 60 }, (_, line) => `a=rtpmap:${96 + line} ${mark}/90000`);
  return { type, sdp: `v=0\r\no=- ${mark} 2 IN IP4 127.0.0.1\r\n${lines.join("\r\n")}\r\n` };
}

export function candidate(mark) {
  return {
    candidate: `candidate:${mark} 1 udp 2122260223 192.0.2.7 ${40000 + mark} typ host`,
    sdpMid: "0",
    sdpMLineIndex: 0,
    usernameFragment: "Hk7+",
  };
}

// Two, three and four bytes in UTF-8, the last two code units in UTF-16; and what JSON escapes.
// Clients of 1.x encode what they send by polling twice, so that is what Node's servers and ours
// understand of them; ours lets them hear everything, Node's does not.
const kPlainText = "\u0000\u001e\" \\ \\n /";
export const kForeignText = process.env.REFERENCE === "1"
  ? kPlainText
  : "Grüße, 你好, 😀👩‍👩‍👧 \u2028\u2029 \u0000\u001e\" \\ \\n / é";

// The most that this client can say.
export function textOf(client) {
  return client.version === "1.7.4" && client.transport === "polling" ? kPlainText : kForeignText;
}
