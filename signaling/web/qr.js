// QR codes (ISO/IEC 18004) for links: byte mode, error correction level L, versions 1 to 20 (858
// bytes). Answers the modules, drawn by the caller. No DOM in here.

const kVersions = 20;
// Level L, by version: error correction codewords in each block, and blocks.
const kCheckWords = [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28];
const kBlocks = [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8];
const kLevelBits = 0b01;

// Rows of true (dark) and false, without the quiet zone; null: the text is too long.
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text);
  const version = versionFor(bytes.length);
  if (version === 0) return null;
  const words = interleave(dataWords(bytes, version), version);
  let best = null;
  for (let mask = 0; mask < 8; mask += 1) {
    const grid = draw(version, words, mask);
    const penalty = penaltyOf(grid.dark);
    if (!best || penalty < best.penalty) best = { penalty, dark: grid.dark };
  }
  return best.dark;
}

// As the `d` of an SVG path in a box of size() + 8: with the quiet zone of four modules.
export function pathOf(rows) {
  return rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : "")))
    .join("");
}

const sizeOf = (version) => 17 + 4 * version;

function alignments(version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const last = sizeOf(version) - 7;
  const step = Math.ceil((last - 6) / (count - 1) / 2) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, index) => last - step * (count - 2 - index))];
}

// Codewords of a version: all modules that no pattern takes.
function allWords(version) {
  const size = sizeOf(version);
  const count = alignments(version).length;
  let modules = size * size - 3 * 64 - 2 * (size - 16) - 31;
  // Those on the timing lines share five modules with them.
  if (count > 0) modules -= (count * count - 3) * 25 - (count - 2) * 10;
  if (version >= 7) modules -= 36;
  return Math.floor(modules / 8);
}

const dataRoom = (version) =>
  allWords(version) - kCheckWords[version - 1] * kBlocks[version - 1];

const countBits = (version) => (version < 10 ? 8 : 16);

function versionFor(length) {
  for (let version = 1; version <= kVersions; version += 1) {
    if (4 + countBits(version) + 8 * length <= 8 * dataRoom(version)) return version;
  }
  return 0;
}

function dataWords(bytes, version) {
  const bits = [];
  const put = (value, count) => {
    for (let bit = count - 1; bit >= 0; bit -= 1) bits.push((value >> bit) & 1);
  };
  put(0b0100, 4);
  put(bytes.length, countBits(version));
  for (const byte of bytes) put(byte, 8);
  const room = 8 * dataRoom(version);
  put(0, Math.min(4, room - bits.length));
  while (bits.length % 8 > 0) bits.push(0);
  const words = [];
  for (let at = 0; at < bits.length; at += 8) {
    words.push(bits.slice(at, at + 8).reduce((word, bit) => (word << 1) | bit, 0));
  }
  for (let pad = 0xec; words.length < room / 8; pad ^= 0xec ^ 0x11) words.push(pad);
  return words;
}

// --- Reed-Solomon over GF(256) with x^8 + x^4 + x^3 + x^2 + 1

function times(one, other) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ (product & 0x80 ? 0x11d : 0);
    if ((other >> bit) & 1) product ^= one;
  }
  return product & 0xff;
}

function generator(degree) {
  let factors = [1];
  for (let power = 0, root = 1; power < degree; power += 1, root = times(root, 2)) {
    const next = [...factors, 0];
    factors.forEach((factor, index) => {
      next[index + 1] ^= times(factor, root);
    });
    factors = next;
  }
  return factors.slice(1);
}

function checkWords(data, factors) {
  const rest = factors.map(() => 0);
  for (const word of data) {
    const lead = word ^ rest.shift();
    rest.push(0);
    factors.forEach((factor, index) => {
      rest[index] ^= times(factor, lead);
    });
  }
  return rest;
}

function interleave(data, version) {
  const count = kBlocks[version - 1];
  const factors = generator(kCheckWords[version - 1]);
  const short = Math.floor(data.length / count);
  const longFrom = count - (data.length % count);
  const blocks = [];
  for (let index = 0, at = 0; index < count; index += 1) {
    const length = short + (index >= longFrom ? 1 : 0);
    blocks.push(data.slice(at, at + length));
    at += length;
  }
  const checks = blocks.map((block) => checkWords(block, factors));
  const across = (lists, length) => Array.from({ length }, (_, at) =>
    lists.filter((list) => at < list.length).map((list) => list[at])).flat();
  return [...across(blocks, short + 1), ...across(checks, factors.length)];
}

// --- modules

const kMasks = [
  (x, y) => (x + y) % 2,
  (x, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

function draw(version, words, mask) {
  const size = sizeOf(version);
  const make = () => Array.from({ length: size }, () => Array(size).fill(false));
  const grid = { size, dark: make(), taken: make() };
  drawPatterns(grid, version);
  drawFormat(grid, mask);
  if (version >= 7) drawVersion(grid, version);
  drawWords(grid, words, mask);
  return grid;
}

function set(grid, x, y, dark) {
  if (x < 0 || y < 0 || x >= grid.size || y >= grid.size) return;
  grid.dark[y][x] = Boolean(dark);
  grid.taken[y][x] = true;
}

function drawPatterns(grid, version) {
  const { size } = grid;
  for (let at = 0; at < size; at += 1) {
    set(grid, 6, at, at % 2 === 0);
    set(grid, at, 6, at % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    drawRings(grid, x, y, 4, (ring) => ring !== 2 && ring !== 4);
  }
  const places = alignments(version);
  const last = places.length - 1;
  places.forEach((x, column) => places.forEach((y, row) => {
    const finder = (column === 0 && (row === 0 || row === last)) || (column === last && row === 0);
    if (!finder) drawRings(grid, x, y, 2, (ring) => ring !== 1);
  }));
  set(grid, 8, size - 8, true);
}

function drawRings(grid, x, y, radius, isDark) {
  for (let down = -radius; down <= radius; down += 1) {
    for (let right = -radius; right <= radius; right += 1) {
      set(grid, x + right, y + down, isDark(Math.max(Math.abs(right), Math.abs(down))));
    }
  }
}

// `value` with its check bits behind it: the rest of a division by `divisor`.
function withCheck(value, bits, divisor) {
  let rest = value << bits;
  for (let bit = 31 - Math.clz32(rest); rest >> bits > 0; bit = 31 - Math.clz32(rest)) {
    rest ^= divisor << (bit - bits);
  }
  return (value << bits) | rest;
}

function drawFormat(grid, mask) {
  const { size } = grid;
  const format = withCheck((kLevelBits << 3) | mask, 10, 0x537) ^ 0x5412;
  for (let bit = 0; bit < 15; bit += 1) {
    const dark = (format >> bit) & 1;
    const step = bit < 6 ? bit : bit < 8 ? bit + 1 : 14 - bit;
    if (bit < 8) set(grid, 8, step, dark);
    else set(grid, bit === 8 ? 7 : step, 8, dark);
    if (bit < 8) set(grid, size - 1 - bit, 8, dark);
    else set(grid, 8, size - 15 + bit, dark);
  }
}

function drawVersion(grid, version) {
  const bits = withCheck(version, 12, 0x1f25);
  for (let bit = 0; bit < 18; bit += 1) {
    const near = Math.floor(bit / 3);
    const far = grid.size - 11 + (bit % 3);
    set(grid, near, far, (bits >> bit) & 1);
    set(grid, far, near, (bits >> bit) & 1);
  }
}

// Upwards and downwards in columns of two from the right, around whatever is taken.
function drawWords(grid, words, mask) {
  const { size, dark, taken } = grid;
  let at = 0;
  let upwards = true;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const y = upwards ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (taken[y][x]) continue;
        const bit = at < 8 * words.length ? (words[at >> 3] >> (7 - (at & 7))) & 1 : 0;
        dark[y][x] = Boolean(bit) !== (kMasks[mask](x, y) === 0);
        at += 1;
      }
    }
    upwards = !upwards;
  }
}

// The four rules that tell a mask which readers find easy from one that they find hard.
function penaltyOf(rows) {
  const size = rows.length;
  const columns = rows.map((_, x) => rows.map((row) => row[x]));
  let penalty = 0;
  for (const line of [...rows, ...columns]) {
    const text = line.map(Number).join("");
    for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) penalty += run.length - 2;
    for (const [shape] of text.matchAll(/(?=(10111010000|00001011101))/g)) {
      penalty += 40 + shape.length;
    }
  }
  for (let y = 1; y < size; y += 1) {
    for (let x = 1; x < size; x += 1) {
      const one = rows[y][x];
      if (one === rows[y - 1][x] && one === rows[y][x - 1] && one === rows[y - 1][x - 1]) penalty += 3;
    }
  }
  const dark = rows.flat().filter(Boolean).length;
  return penalty + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}
