// The start page: asks the server whether it works, shows where it listens, what to paste into an
// application, and the way into a call room.

import {
  byId, cloneTemplate, copyText, invitationInAddress, setHidden, webSocketUrl,
} from "./dom.js";
import { localise, say, startLanguages } from "./i18n.js";
import { snippets } from "./snippets.js";

const kPatience = 5_000;
const kLongestRoomBytes = 128;
const kFirstWords = ["amber", "brave", "calm", "clear", "green", "quick", "quiet", "warm"];
const kSecondWords = ["badger", "crane", "falcon", "heron", "lynx", "otter", "panda", "robin"];

const invitation = invitationInAddress();
const invitedRooms = roomsOf(invitation);
let openRooms = false;

startLanguages(byId("language"));
wireCallForm();
addEventListener("hashchange", () => location.reload());
check();

// --- does it work?

async function check() {
  const answers = await Promise.allSettled([checkPages(), checkSignaling()]);
  const works = answers.every(({ status }) => status === "fulfilled");
  say(byId("verdict"), works ? "home.works" : "home.broken");
  byId("verdict").className = works ? "good" : "bad";
}

async function checkPages() {
  try {
    const answer = await fetch("/config.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const config = await answer.json();
    mark("check-pages", true, "home.check.version", { version: config.version });
    showConfig(config);
  } catch (error) {
    mark("check-pages", false, "home.check.failed");
    mark("check-relay", false, "home.check.failed");
    throw error;
  }
}

async function checkSignaling() {
  try {
    const milliseconds = await askSignaling();
    mark("check-signaling", true, "home.check.answered", { milliseconds });
  } catch (error) {
    mark("check-signaling", false, "home.check.failed");
    throw error;
  }
}

// Whatever it says to a ping, it speaks.
function askSignaling() {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const socket = new WebSocket(webSocketUrl("/ws"));
    const timer = setTimeout(() => socket.close(), kPatience);
    socket.addEventListener("open", () => socket.send('{"type":"ping"}'));
    socket.addEventListener("message", () => {
      resolve(Math.max(1, Math.round(performance.now() - began)));
      socket.close();
    });
    socket.addEventListener("close", () => {
      clearTimeout(timer);
      reject(new Error("closed"));
    });
  });
}

function mark(id, good, key, values) {
  const check = byId(id);
  check.classList.add(good ? "good" : "bad");
  say(check.querySelector("dd"), key, values);
}

// --- where it listens, what to paste

function showConfig({ iceUrls, publicUrl, openRooms: open }) {
  const turn = iceUrls?.turn ?? [];
  if (turn.length > 0) mark("check-relay", true, "home.check.relayUrls", { count: turn.length });
  else mark("check-relay", false, "home.check.relayNone");
  const base = publicUrl || location.origin;
  showUrls("urls-pages", [base]);
  showUrls("urls-rooms", [`${base.replace(/^http/, "ws")}/ws`]);
  showUrls("urls-stun", iceUrls?.stun ?? []);
  showUrls("urls-turn", turn);
  byId("snippets").replaceChildren(...snippets({ base, turn, stun: iceUrls?.stun ?? [] }).map(snippetArticle));
  openRooms = Boolean(open);
  showInvitationNote();
}

function showUrls(id, urls) {
  const lines = urls.map((url) => {
    const line = document.createElement("code");
    line.textContent = url;
    return line;
  });
  if (lines.length > 0) byId(id).replaceChildren(...lines);
  else say(byId(id), "home.addresses.none");
}

function snippetArticle({ key, code }) {
  const article = cloneTemplate("snippet-template");
  say(article.querySelector("h3"), `home.snippets.${key}.title`);
  say(article.querySelector("p"), `home.snippets.${key}.text`);
  article.querySelector("code").textContent = code;
  const button = article.querySelector(".copy");
  button.addEventListener("click", async () => {
    say(button, (await copyText(code)) ? "copy.done" : "copy.failed");
    setTimeout(() => say(button, "copy.button"), 2_000);
  });
  localise(article);
  return article;
}

// --- into a room

function wireCallForm() {
  byId("room").value = invitedRooms[0] ?? randomRoom();
  byId("room").addEventListener("input", showInvitationNote);
  byId("another").addEventListener("click", () => {
    byId("room").value = randomRoom();
    showInvitationNote();
  });
  byId("call-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = byId("room").value.trim();
    if (name && fits(name)) location.assign(`/call/${encodeURIComponent(name)}${location.hash}`);
  });
  setHidden(byId("insecure-note"), window.isSecureContext);
  byId("to-diag").hash = location.hash;
  showInvitationNote();
}

function showInvitationNote() {
  const note = byId("invitation-note");
  const rooms = invitedRooms.join(", ");
  const room = byId("room").value.trim();
  if (!fits(room)) say(note, "over.bad-room.text");
  else if (openRooms) say(note, "home.call.open-rooms");
  else if (!invitation) say(note, "home.call.uninvited");
  else if (invitedRooms.includes(room)) say(note, "home.call.invited", { rooms });
  else say(note, "home.call.notInvited", { rooms });
}

function fits(name) {
  return new TextEncoder().encode(name).length <= kLongestRoomBytes;
}

function randomRoom() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  return `${pick(kFirstWords)}-${pick(kSecondWords)}-${10 + Math.floor(Math.random() * 90)}`;
}

// An invitation's first half says, for everybody to read, which rooms it is for.
function roomsOf(text) {
  try {
    const bytes = atob(text.split(".")[0].replaceAll("-", "+").replaceAll("_", "/"));
    const json = new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
    const { r: rooms } = JSON.parse(json);
    return Array.isArray(rooms) ? rooms.map(String) : [];
  } catch {
    return [];
  }
}
