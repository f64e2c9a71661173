// What the buttons around a call do beyond mute and hang-up: files, voice messages, the screen, the
// recording, the invitation with its code, picture in picture, single keys.

import { CallRecorder } from "./recording.js";
import { isPicture, VoiceRecorder } from "./call_chat.js";
import { byId, memory, setHidden } from "./dom.js";
import { label, say } from "./i18n.js";
import { pathOf, qrCode } from "./qr.js";

const kMostFiles = 16;
const kLongestVoice = 300_000;

// `call` answers what there is at the moment: {room, media, stage, chat, ownName()}.
export function wireTools(call) {
  wireFiles(call);
  wireVoice(call);
  wireScreen(call);
  wireRecording(call);
  wirePicture(call);
  wireDialog(call);
  wireKeys();
}

// --- files

export function sendFiles(call, files, about = null) {
  if (!call.room || call.room.isOver) return;
  for (const blob of [...files].slice(0, kMostFiles)) {
    if (call.room.members.size === 0) {
      call.chat.note("file.nobody");
      return;
    }
    const title = blob.name ?? (isPicture(blob) ? "picture" : "voice");
    const sendings = call.room.sendFile(blob, { name: title, about });
    call.chat.sends(call.ownName(), blob, { title, about }, sendings);
  }
}

function wireFiles(call) {
  const input = byId("files");
  byId("attach").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    sendFiles(call, input.files);
    input.value = "";
  });
  byId("chat-text").addEventListener("paste", (event) => {
    const { files } = event.clipboardData;
    if (files.length === 0) return;
    event.preventDefault();
    sendFiles(call, files);
  });
  const carriesFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    setHidden(byId("drop"), !call.room || call.room.isOver);
  });
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) setHidden(byId("drop"), true);
  });
  addEventListener("drop", (event) => {
    setHidden(byId("drop"), true);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    sendFiles(call, event.dataTransfer.files);
  });
}

// --- voice messages

function wireVoice(call) {
  const button = byId("voice");
  setHidden(button, !VoiceRecorder.supported);
  const recorder = new VoiceRecorder();
  let timer = 0;
  const show = () => {
    label(button, recorder.running ? "voice.send" : "voice.start");
    button.classList.toggle("on", recorder.running);
    setHidden(byId("recording-voice"), !recorder.running);
  };
  const finish = async (send) => {
    clearTimeout(timer);
    const stopped = recorder.stop();
    show();
    const blob = await stopped;
    if (!send) return;
    if (blob.size > 0) sendFiles(call, [blob], { voice: true });
    else call.chat.note("voice.failed");
  };
  button.addEventListener("click", () => {
    if (recorder.running) return finish(true);
    const [track] = call.media.stream.getAudioTracks();
    if (!track) return;
    try {
      recorder.start(track);
      timer = setTimeout(() => finish(true), kLongestVoice);
    } catch {
      call.chat.note("voice.failed");
    }
    show();
  });
  byId("voice-cancel").addEventListener("click", () => finish(false));
}

// --- the screen

function wireScreen(call) {
  const button = byId("screen");
  setHidden(button, !call.media.canShareScreen);
  button.addEventListener("click", () =>
    (call.media.sharesScreen ? call.media.stopScreen() : call.media.shareScreen()));
  call.media.addEventListener("noscreen", () => setHidden(byId("notice-screen"), false));
}

export function showScreenButton(media) {
  const button = byId("screen");
  const key = media.sharesScreen ? "call.screenStop" : "call.screen";
  button.classList.toggle("on", media.sharesScreen);
  button.setAttribute("aria-pressed", String(media.sharesScreen));
  say(button.querySelector("span"), key);
  label(button, key);
}

// --- the recording

function wireRecording(call) {
  const button = byId("record");
  setHidden(button, !CallRecorder.supported);
  const recorder = new CallRecorder(() => call.stage.pictures);
  let begins = false;
  const show = () => {
    const { running } = recorder;
    say(button, running ? "record.stop" : "record.start");
    button.setAttribute("aria-pressed", String(running));
    button.disabled = begins;
    if (running) say(byId("recording-text"), recorder.hears ? "notice.recording" : "notice.recordingMute");
    setHidden(byId("notice-recording"), !running);
  };
  const complain = (key) => {
    say(byId("unrecorded-text"), key);
    setHidden(byId("notice-unrecorded"), false);
  };
  const record = async () => {
    begins = true;
    show();
    const runs = await recorder.start().finally(() => {
      begins = false;
      show();
    });
    if (!runs) return;
    const { blob, failed } = await recorder.finished().finally(show);
    if (blob.size > 0) saveAs(blob, filmName(blob));
    if (failed) complain(blob.size > 0 ? "notice.recordingCut" : "notice.unrecorded");
  };
  button.addEventListener("click", () => {
    if (recorder.running) return recorder.stop();
    byId("more-dialog").close();
    setHidden(byId("notice-unrecorded"), true);
    record().catch(() => complain("notice.unrecorded"));
  });
  byId("record-stop").addEventListener("click", () => recorder.stop());
  call.onEnd(() => recorder.stop());
  show();
}

function filmName({ type }) {
  const kind = type.includes("mp4") ? "mp4" : "webm";
  return `call-${new Date().toISOString().replace(/[^\d]/g, "").slice(0, 14)}.${kind}`;
}

function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// --- picture in picture

function wirePicture(call) {
  const button = byId("picture");
  setHidden(button, !document.pictureInPictureEnabled);
  button.addEventListener("click", async () => {
    byId("more-dialog").close();
    const video = call.stage.mainVideo;
    try {
      if (document.pictureInPictureElement) await document.exitPictureInPicture();
      else if (video) await video.requestPictureInPicture();
    } catch {
      // The browser does not want to now.
    }
  });
}

// --- the dialog

function wireDialog(call) {
  const dialog = byId("more-dialog");
  byId("more").addEventListener("click", () => {
    call.pickers.refresh();
    dialog.showModal();
  });
  byId("invite").addEventListener("click", () => {
    dialog.close();
    call.showInvitation();
  });
  byId("statistics").addEventListener("click", ({ currentTarget: button }) => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    call.stage.showStats(shown);
    dialog.close();
    call.show();
  });
}

// --- the keys

const kKeys = { m: "microphone", v: "camera", s: "screen" };
// There a letter is a letter.
const kTyping = "input, select, textarea, audio, dialog";

// They can be turned off (WCAG 2.1.4): whoever speaks to the machine types many letters unawares.
function wireKeys() {
  const choice = byId("keys");
  choice.checked = memory.get("keys") !== "off";
  const show = () => {
    for (const [key, id] of Object.entries(kKeys)) {
      if (choice.checked) byId(id).setAttribute("aria-keyshortcuts", key.toUpperCase());
      else byId(id).removeAttribute("aria-keyshortcuts");
    }
  };
  choice.addEventListener("change", () => {
    memory.set("keys", choice.checked ? "on" : "off");
    show();
  });
  addEventListener("keydown", (event) => {
    const id = kKeys[event.key.toLowerCase()];
    if (!id || !choice.checked || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest(kTyping) || !byId(id).checkVisibility()) return;
    event.preventDefault();
    byId(id).click();
  });
  show();
}

// The link as a code for the camera of a telephone.
export function showCode(link) {
  const picture = byId("share-code");
  if (picture.dataset.link === link) return;
  picture.dataset.link = link;
  const rows = qrCode(link);
  setHidden(picture, rows === null);
  if (!rows) return;
  const size = rows.length + 8;
  picture.setAttribute("viewBox", `0 0 ${size} ${size}`);
  picture.querySelector("path").setAttribute("d", pathOf(rows));
}
