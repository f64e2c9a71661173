// The call page: reads the address, makes the media and the Room, and wires both to the page.
//
//   /call/<room>#k=INVITATION   the invitation gives the relay
//   ?name=Ann       the name that others see
//   ?audio=0, ?video=0   begin with the microphone or the camera off
//   ?prejoin=0      enter at once
//   ?screen=1       ask for the screen to share, once inside
//   ?relay=1        only the relay, no direct path
//   ?transport=udp|tcp|tls   only the TURN addresses of this transport, for trials
//   ?synthetic=1    no camera and no microphone, a test picture and a soft tone
//   ?lang=en|zh     the language

import { ChatLog } from "./call_chat.js";
import {
  chosenDevices, DevicePickers, prejoin, rememberEntered, wasEntered,
} from "./call_devices.js";
import { showCode, showScreenButton, wireTools } from "./call_tools.js";
import { initialOf, nameOf, showPeople, Stage } from "./call_view.js";
import { byId, copyText, invitationInAddress, memory, setHidden } from "./dom.js";
import { label, say, startLanguages, translate } from "./i18n.js";
import { LocalMedia } from "./media.js";
import { cleanName, Room } from "./room.js";

const kTransports = new Set(["udp", "tcp", "tls"]);
const kEndedReasons = { 4001: "elsewhere", 4003: "removed" };
// In a mesh everybody sends to everybody: beyond this, most connections are too slow.
const kComfortable = 6;
// Off, on.
const kSwitched = {
  audio: ["call.muted", "prejoin.microphone"],
  video: ["prejoin.cameraOff", "prejoin.camera"],
};
const kKnownRefusals = new Set(["room-full", "bad-invitation", "bad-room", "too-many-rooms", "bad-token"]);

const query = new URLSearchParams(location.search);
const wanted = {
  room: roomInAddress(),
  invitation: invitationInAddress(),
  name: cleanName(query.get("name") ?? memory.get("name") ?? ""),
  synthetic: query.get("synthetic") === "1",
  prejoin: query.get("prejoin") !== "0",
  screen: query.get("screen") === "1",
  wish: {
    relayOnly: query.get("relay") === "1",
    transport: kTransports.has(query.get("transport")) ? query.get("transport") : null,
  },
};

const media = new LocalMedia();
const chat = new ChatLog();
const stage = new Stage({ onSilenced: () => setHidden(byId("notice-sound"), false) });
const dismissed = new Set();
const pickers = new DevicePickers(media);
const ends = [];
let invites = false;
let leaving = false; // the page itself
let room = null;

startLanguages(byId("language"));
document.addEventListener("languagechange", showEverything);
wireControls();
showRoomName();
start();

function roomInAddress() {
  const path = location.pathname.replace(/^\/call\//, "");
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

async function start() {
  showPhase();
  const initials = initialOf(wanted.name || wanted.room);
  for (const kind of ["audio", "video"]) media.setEnabled(kind, query.get(kind) !== "0");
  const opened = media.open({ synthetic: wanted.synthetic, initials, chosen: chosenDevices() });
  opened.then(() => pickers.refresh());
  if (wanted.prejoin && !wasEntered(wanted.room)) {
    opened.then(showMediaNotice);
    const entered = prejoin(media, opened, wanted.name);
    showPhase();
    wanted.name = cleanName(await entered);
    memory.set("name", wanted.name);
    byId("my-name").value = wanted.name;
  }
  await opened;
  rememberEntered(wanted.room);
  setHidden(byId("inside"), false);
  media.addEventListener("changed", () => {
    room?.announceProfile();
    showControls();
    showSelf();
    showNotices();
  });
  enter(wanted.invitation);
  if (wanted.screen) media.shareScreen();
}

function enter(invitation) {
  room = new Room({
    room: wanted.room,
    name: wanted.name,
    invitation,
    wish: wanted.wish,
    media,
  });
  room.addEventListener("phase", onPhase);
  room.addEventListener("members", showMembers);
  room.addEventListener("ice", showNotices);
  room.addEventListener("chat", ({ detail }) => onChat(detail));
  room.addEventListener("file", ({ detail: { member, transfer } }) =>
    chat.receives(nameOf(member), transfer));
  room.addEventListener("arrival", ({ detail }) => {
    invites = false;
    onComing("chat.came", detail.member);
  });
  room.addEventListener("departure", ({ detail }) => onComing("chat.went", detail.member));
  room.enter();
  showEverything();
}

function wireControls() {
  wireTools({
    media, stage, chat, pickers, ownName,
    get room() {
      return room;
    },
    show: showMembers,
    showInvitation() {
      invites = true;
      showMembers();
      byId("share-link").focus();
    },
    onEnd: (action) => ends.push(action),
  });
  byId("microphone").addEventListener("click", () => toggle("audio"));
  byId("camera").addEventListener("click", () => toggle("video"));
  byId("hang-up").addEventListener("click", hangUp);
  byId("again").addEventListener("click", () => {
    rememberEntered(wanted.room);
    location.reload();
  });
  byId("without-relay").addEventListener("click", enterWithoutRelay);
  byId("retry").addEventListener("click", () => room.retryNow());
  // Any touch is what the browser waits for; the button only says so.
  for (const type of ["click", "keydown"]) addEventListener(type, soundOn);
  byId("share-copy").addEventListener("click", copyShareLink);
  byId("share-close").addEventListener("click", endInvitation);
  byId("share").addEventListener("keydown", ({ key }) => key === "Escape" && endInvitation());
  byId("my-name").value = wanted.name;
  byId("my-name").addEventListener("change", rename);
  byId("chat-form").addEventListener("submit", sendChat);
  byId("home").hash = location.hash;
  byId("over-home").hash = location.hash;
  for (const button of document.querySelectorAll(".notice .close")) {
    button.addEventListener("click", () => dismiss(button.closest(".notice")));
  }
  // A phone that wakes up has slept through every timer.
  document.addEventListener("visibilitychange", () => !document.hidden && room?.retryNow());
  // A page that the browser kept and shows again has left its room: begin anew.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  addEventListener("pagehide", () => {
    leaving = true;
  }, { capture: true });
  addEventListener("hashchange", () => location.reload());
}

// --- what the user does

function toggle(kind) {
  const enabled = !media.isEnabled(kind);
  media.setEnabled(kind, enabled);
  room?.announceProfile();
  // Who pressed a key is not at the button that says so.
  say(byId("told"), kSwitched[kind][enabled ? 1 : 0]);
  showControls();
  showSelf();
}

function hangUp() {
  if (room) room.hangUp();
  else location.assign(byId("home").href);
}

function rename() {
  wanted.name = cleanName(byId("my-name").value);
  memory.set("name", wanted.name);
  room?.rename(wanted.name);
}

function sendChat(event) {
  event.preventDefault();
  const field = byId("chat-text");
  const text = field.value.trim();
  if (!text || !room) return;
  field.value = "";
  room.chat(text);
  if (room.members.size === 0) chat.note("chat.nobody");
}

async function copyShareLink() {
  const copied = await copyText(shareLink());
  say(byId("share-copy"), copied ? "copy.done" : "copy.failed");
  byId("share-link").select();
  setTimeout(() => say(byId("share-copy"), "copy.button"), 2_000);
}

// It was asked for; as long as nobody else is here it stays.
function endInvitation() {
  if (!invites) return;
  invites = false;
  byId("more").focus();
  showMembers();
}

function soundOn() {
  if (byId("notice-sound").hidden) return;
  stage.unmute();
  setHidden(byId("notice-sound"), true);
}

function dismiss(notice) {
  dismissed.add(notice.id);
  setHidden(notice, true);
}

function enterWithoutRelay() {
  setHidden(byId("over"), true);
  setHidden(byId("inside"), false);
  enter("");
}

// --- what the room tells

function onPhase() {
  if (room.isOver) showOver();
  showEverything();
}

function onChat({ member, text }) {
  chat.said(member === room.self ? ownName() : nameOf(member), text, member === room.self);
}

function onComing(key, member) {
  chat.note(key, { name: nameOf(member) });
}

// --- what is shown

function showEverything() {
  showRoomName();
  showPhase();
  showControls();
  showMembers();
  showNotices();
}

function showRoomName() {
  say(byId("room-name"), "call.room", { room: wanted.room });
  document.title = translate("call.title", { room: wanted.room });
}

function showPhase() {
  const count = room?.members.size ?? 0;
  const phase = room?.phase ?? (byId("prejoin").hidden ? "connecting" : "prejoin");
  document.body.dataset.phase = phase;
  const line = byId("phase");
  if (["prejoin", "connecting", "lost"].includes(phase)) say(line, `phase.${phase}`);
  else if (phase !== "inside") say(line, "phase.over");
  else if (count === 0) say(line, "phase.alone");
  else say(line, "phase.together", { count });
}

function showControls() {
  showControl(byId("microphone"), media.isEnabled("audio"), "call.mute", "call.unmute");
  showControl(byId("camera"), media.isEnabled("video"), "call.cameraOff", "call.cameraOn");
  showScreenButton(media);
}

function showControl(button, enabled, whenOn, whenOff) {
  button.classList.toggle("off", !enabled);
  say(button.querySelector("span"), enabled ? whenOn : whenOff);
  label(button, enabled ? whenOn : whenOff);
}

function showMembers() {
  if (!room || isOver()) return;
  showSelf();
  stage.showMembers(room.members, room.hasRelay);
  showPeople(room.self, ownName(), room.members, room.hasRelay);
  const alone = room.members.size === 0;
  const shown = room.phase === "inside" && (alone || invites);
  byId("share-link").value = shareLink();
  say(byId("share-title"), alone ? "share.title" : "share.invite");
  setHidden(byId("share"), !shown);
  setHidden(byId("share-close"), alone);
  if (shown) showCode(shareLink());
  showNotice("notice-crowd", room.members.size >= kComfortable);
  showPhase();
}

function showSelf() {
  document.body.classList.toggle("camera", !media.synthetic.video && !media.sharesScreen);
  stage.showSelf(media.stream, ownName(), {
    microphone: media.isEnabled("audio"),
    camera: media.isEnabled("video") || media.sharesScreen,
    screen: media.sharesScreen,
  });
}

function ownName() {
  const name = room?.name || wanted.name;
  return name ? translate("call.you", { name }) : translate("call.youGuest");
}

function shareLink() {
  const link = new URL(location.href);
  link.search = "";
  return link.href;
}

function showNotices() {
  showLostNotice();
  showRelayNotice();
  showMediaNotice();
}

function showLostNotice() {
  const lost = room?.phase === "lost";
  setHidden(byId("notice-lost"), !lost);
  if (!lost) return;
  const seconds = Math.ceil((room.retryAt - performance.now()) / 1000);
  if (seconds > 0) say(byId("lost-text"), "notice.lost", { seconds });
  else say(byId("lost-text"), "notice.lostNow");
  setTimeout(showLostNotice, 1_000);
}

function showRelayNotice() {
  const { relayOnly, transport } = wanted.wish;
  const missing = room?.phase === "inside" && !room.hasRelay;
  const text = byId("relay-text");
  if (transport && wanted.invitation) say(text, "notice.noTransport", { transport });
  else say(text, relayOnly ? "notice.relayOnly" : "notice.noInvitation");
  showNotice("notice-relay", missing);
}

function showMediaNotice() {
  if (media.problem) say(byId("media-text"), `notice.${media.problem}`);
  setHidden(byId("https-commands"), media.problem !== "insecure");
  showNotice("notice-media", media.problem !== null && !isOver());
}

function showNotice(id, shown) {
  setHidden(byId(id), !shown || dismissed.has(id));
}

function isOver() {
  return room?.isOver ?? false;
}

function showOver() {
  const kind = reasonOfEnd();
  for (const action of ends) action();
  // Whoever hung up is asked before the next call.
  if (room.phase === "left" && !leaving) rememberEntered(null);
  if (room.reason !== "bad-invitation") media.close();
  stage.clear();
  setHidden(byId("inside"), true);
  setHidden(byId("over"), false);
  setHidden(byId("notice-sound"), true);
  setHidden(byId("without-relay"), room.reason !== "bad-invitation");
  setHidden(byId("again"), room.reason === "bad-invitation");
  say(byId("over-title"), `over.${kind}.title`);
  say(byId("over-text"), `over.${kind}.text`, { code: room.reason });
  byId("over-title").focus();
}

function reasonOfEnd() {
  if (room.phase === "left") return "left";
  if (room.phase === "refused") return kKnownRefusals.has(room.reason) ? room.reason : "closed";
  return kEndedReasons[room.reason] ?? "closed";
}
