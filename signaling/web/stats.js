// The dashboard: /stats. Rows come as server-sent events (docs/operations.md); what is kept here is
// the last hour of them. Where a token is asked, it is exchanged for a cookie and forgotten.

import { byId, cloneTemplate, setHidden } from "./dom.js";
import {
  currentLanguage, localise, say, sayFacts, sayNothing, startLanguages, translate,
} from "./i18n.js";
import { bitRate, decimal } from "./numbers.js";
import { draw, fillTable, spans, swatch } from "./stats_plot.js";

const kHour = 3_600_000;
const kAgain = 3_000;
const kTableRows = 12;
// No row for so many intervals: the server is gone, or the line is.
const kPatience = 3;

const rate = (value) => `${decimal(value, value < 10 ? 1 : 0)}/s`;
const whole = (value) => decimal(value, value < 10 ? 1 : 0);
const bits = (bytes) => bitRate(bytes * 8);
// Lines are [words, how a value comes from two rows].
const gauge = (name) => (row) => row[name];
const perSecond = (name) => (row, before, seconds) => (row[name] - before[name]) / seconds;
const kPlots = [
  { id: "traffic", format: bits, least: 1250, lines: [
    ["toPeers", perSecond("bytes_to_peers")], ["toClients", perSecond("bytes_to_clients")]] },
  { id: "packets", format: rate, least: 10, lines: [
    ["toPeers", perSecond("packets_to_peers")], ["toClients", perSecond("packets_to_clients")]] },
  { id: "allocations", format: whole, least: 10, lines: [["allocations", gauge("allocations")]] },
  { id: "rooms", format: whole, least: 10, lines: [
    ["members", gauge("members")], ["rooms", gauge("rooms")]] },
];

let source = null;
let names = [];
let interval = 5;
let rows = new Map(); // by id, in the order of time
let watchdog = 0;
let again = 0;
let drawing = 0;
const plots = new Map();

startLanguages(byId("language"));
document.addEventListener("languagechange", showSoon);
addEventListener("resize", showSoon);
byId("lock-form").addEventListener("submit", unlock);
byId("leave").addEventListener("click", leave);
for (const one of document.getElementsByName("range")) one.addEventListener("change", showSoon);
for (const plot of kPlots) addPlot(plot);
begin();

// --- the connection

// EventSource does not tell why it was refused, so this asks first.
async function begin() {
  clearTimeout(again);
  let answer = null;
  try {
    answer = await fetch("/stats/session", { cache: "no-store" });
  } catch {
    return retry();
  }
  if (answer.status === 401) return lock();
  if (answer.status !== 204) return retry();
  setHidden(byId("lock"), true);
  listen();
}

function listen() {
  source?.close();
  const mine = new EventSource("/stats/events");
  source = mine;
  watch();
  mine.addEventListener("hello", ({ data }) => {
    const hello = JSON.parse(data);
    ({ names, interval } = hello);
    say(byId("version"), "stats.version", { version: hello.version });
    // Without the token's cookie there is nothing to leave.
    setHidden(byId("leave"), !hello.token);
  });
  mine.addEventListener("message", ({ data, lastEventId }) => {
    if (mine !== source) return;
    keep(lastEventId, JSON.parse(data));
    status("live", { interval });
    watch();
    showSoon();
  });
  mine.addEventListener("error", () => {
    if (mine !== source) return;
    gone();
    // Otherwise it comes back by itself, and goes on where it was.
    if (mine.readyState === EventSource.CLOSED) retry();
  });
}

function watch() {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => {
    gone();
    retry();
  }, kPatience * interval * 1000);
}

function retry() {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  clearTimeout(again);
  gone();
  again = setTimeout(begin, kAgain);
}

function gone() {
  const last = [...rows.values()].at(-1);
  if (last) status("gone", { time: clock(last.time, true) });
  else status("unreachable");
}

function status(state, values) {
  byId("status").classList.toggle("trouble", state === "gone" || state === "unreachable");
  say(byId("status"), `stats.status.${state}`, values);
}

// --- the token

function lock() {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  rows = new Map();
  setHidden(byId("board"), true);
  setHidden(byId("lock"), false);
  status("locked");
  byId("token").focus();
}

async function unlock(event) {
  event.preventDefault();
  const token = byId("token").value;
  byId("token").value = "";
  sayNothing(byId("lock-error"));
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const { status: code } = await fetch("/stats/session", { method: "POST", headers });
    if (code === 204) return begin();
    say(byId("lock-error"), code === 429 ? "stats.lock.tooOften" : "stats.lock.wrong");
  } catch {
    say(byId("lock-error"), "stats.status.unreachable");
  }
  byId("token").focus();
}

async function leave() {
  source?.close();
  source = null;
  await fetch("/stats/session", { method: "DELETE" }).catch(() => {});
  begin();
}

// --- what is kept

function keep(id, [time, ...figures]) {
  const workers = figures.pop();
  const row = { run: id.slice(0, id.lastIndexOf("-")), time, workers };
  names.forEach((name, index) => {
    row[name] = figures[index];
  });
  rows.set(id, row);
  for (const [key, old] of rows) {
    if (old.time > time - kHour) break;
    rows.delete(key);
  }
}

// Rates are between two rows of the same run: what a restarted server counts begins at zero.
function pointsOf(value, shown) {
  const points = [];
  shown.forEach((row, index) => {
    const before = shown[index - 1];
    if (before?.run !== row.run) {
      if (value.length < 2) points.push([row.time, value(row)]);
      return;
    }
    points.push([row.time, Math.max(0, value(row, before, (row.time - before.time) / 1000))]);
  });
  return points;
}

// How much the counters have grown, by name, over the rows that are shown.
function grown(prefix, shown) {
  const sums = new Map();
  shown.forEach((row, index) => {
    const before = shown[index - 1];
    if (before?.run !== row.run) return;
    for (const name of names.filter((one) => prefix.test(one))) {
      sums.set(name, (sums.get(name) ?? 0) + row[name] - before[name]);
    }
  });
  return [...sums].filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one);
}

// --- what is shown

function showSoon() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    if (rows.size > 0) show();
  });
}

function show() {
  setHidden(byId("board"), false);
  const all = [...rows.values()];
  const newest = all.at(-1);
  const minutes = Number(document.querySelector("[name=range]:checked").value);
  const from = newest.time - minutes * 60_000;
  const shown = all.filter(({ time }) => time >= from);
  showNow(all, newest);
  for (const plot of kPlots) showPlot(plot, shown, from, newest.time);
  showReasons("drops", /^(dropped_|malformed|ratelimit)/, shown);
  showReasons("auth", /^auth_/, shown);
  showWorkers(newest);
}

function showNow(all, newest) {
  const last = all.slice(-2);
  const speed = (name) => {
    const points = pointsOf(perSecond(name), last);
    return points.length ? points[0][1] : 0;
  };
  const facts = [
    ["allocations", whole(newest.allocations)],
    ["rooms", whole(newest.rooms)],
    ["members", whole(newest.members)],
    ["toPeers", bits(speed("bytes_to_peers"))],
    ["toClients", bits(speed("bytes_to_clients"))],
    ["packets", rate(speed("packets_to_peers") + speed("packets_to_clients"))],
  ];
  sayFacts(byId("now"), facts.map(([key, words]) => [`stats.figure.${key}`, words]));
}

function addPlot({ id, lines }) {
  const card = cloneTemplate("plot-template");
  const svg = card.querySelector("svg");
  const title = card.querySelector("h2");
  title.id = `plot-${id}`;
  card.dataset.plot = id;
  say(title, `stats.plot.${id}`);
  card.querySelector(".scroller").setAttribute("aria-labelledby", title.id);
  setHidden(card.querySelector(".legend"), lines.length < 2);
  card.querySelector(".legend").append(...lines.map(([key], index) => {
    const item = document.createElement("li");
    const words = document.createElement("span");
    say(words, `stats.figure.${key}`);
    item.append(swatch(index), words);
    return item;
  }));
  const plot = { card, svg, cursor: null, points: [], view: null };
  plots.set(id, plot);
  svg.addEventListener("pointermove", (event) =>
    point(id, plot.view?.timeAt(event.clientX - svg.getBoundingClientRect().left)));
  svg.addEventListener("pointerleave", () => point(id, null));
  svg.addEventListener("blur", () => point(id, null));
  svg.addEventListener("keydown", (event) => moveCursor(event, id));
  card.querySelector("details").addEventListener("toggle", showSoon);
  byId("plots").append(card);
  localise(card);
}

function moveCursor(event, id) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const [times] = [plots.get(id).points[0]?.map(([time]) => time) ?? []];
  if (!step || times.length === 0) return;
  event.preventDefault();
  const at = times.indexOf(plots.get(id).cursor);
  const next = at < 0 ? times.length - 1 : Math.min(times.length - 1, Math.max(0, at + step));
  point(id, times[next]);
}

// Shows the values nearest to that time; null: none.
function point(id, time) {
  const plot = plots.get(id);
  const { format, lines } = kPlots.find((one) => one.id === id);
  const readout = plot.card.querySelector(".readout");
  const [first] = plot.points;
  plot.cursor = null;
  if (time === null || time === undefined || !first?.length) {
    plot.view?.place(null);
    readout.textContent = "";
    return;
  }
  const near = first.reduce((best, one) =>
    (Math.abs(one[0] - time) < Math.abs(best[0] - time) ? one : best))[0];
  plot.cursor = near;
  plot.view.place(near);
  const words = lines.map(([key], index) => {
    const value = plot.points[index].find(([at]) => at === near)?.[1];
    return value === undefined ? "" : `${translate(`stats.figure.${key}`)} ${format(value)}`;
  });
  readout.textContent = [clock(near, true), ...words].join("  ·  ");
}

function showPlot({ id, format, least, lines }, shown, from, to) {
  const plot = plots.get(id);
  plot.points = lines.map(([, value]) => pointsOf(value, shown));
  const values = plot.points.map((points) => points.map(([, value]) => value));
  const empty = values.every((list) => list.every((value) => value === 0));
  const cursor = plot.cursor;
  plot.view = draw(plot.svg, {
    from, to, least, format, clock, lines: plot.points, gap: interval * 2500,
    nothing: empty ? translate("stats.plot.nothing") : "",
  });
  if (cursor !== null) point(id, cursor);
  const words = lines.map(([key], index) => translate("stats.plot.words", {
    name: translate(`stats.figure.${key}`),
    now: format(values[index].at(-1) ?? 0),
    most: format(Math.max(0, ...values[index])),
  }));
  plot.svg.setAttribute("aria-label", `${translate(`stats.plot.${id}`)}. ${words.join(" ")}`);
  if (!plot.card.querySelector("details").open) return;
  fillTable(plot.card.querySelector("table"),
    [translate("stats.table.until"), ...lines.map(([key]) => translate(`stats.figure.${key}`))],
    spans(plot.points, from, to, kTableRows).map(({ time, values: means }) =>
      [clock(time), ...means.map((mean) => (mean === null ? "" : format(mean)))]));
}

function showReasons(id, prefix, shown) {
  const counts = grown(prefix, shown);
  setHidden(byId(`${id}-none`), counts.length > 0);
  sayFacts(byId(id), counts.map(([name, count]) => [`stats.reason.${name}`, decimal(count)]));
}

function showWorkers({ workers }) {
  const list = byId("workers");
  while (list.children.length > workers.length) list.lastChild.remove();
  workers.forEach(([busy, allocations], index) => {
    const item = list.children[index] ?? list.appendChild(document.createElement("li"));
    if (!item.firstChild) {
      item.append(...["span", "span", "progress"].map((tag) => document.createElement(tag)));
      item.lastChild.max = 1000;
    }
    const name = translate("stats.workers.name", { number: index });
    item.children[0].textContent = name;
    item.children[1].textContent =
      translate("stats.workers.load", { share: decimal(busy / 10), count: decimal(allocations) });
    item.lastChild.value = busy;
    item.lastChild.setAttribute("aria-label", name);
  });
}

function clock(time, exact = false) {
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (exact) parts.second = "2-digit";
  return new Intl.DateTimeFormat(currentLanguage(), parts).format(time);
}
