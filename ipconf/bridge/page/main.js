// The beginning: which room, join, meet, leave, and again.

import { $, show } from "./page.js";
import { askForRoom, roomName, takeToken } from "./address.js";
import { Controls } from "./controls.js";
import { Devices, listDevices } from "./devices.js";
import { JoinScreen } from "./join.js";
import { Meeting } from "./meeting.js";
import { audioContext } from "./sounds.js";
import { endTitle, refusal } from "./words.js";

const room = roomName();
if (room === null) askForRoom("That is no room’s name. Letters, digits, - and _; at most 64.");
else if (room === "") askForRoom();
else begin();

function begin() {
  const token = takeToken(room);
  const devices = new Devices(() => (join.render(), meeting.devicesChanged()));
  const meeting = new Meeting(devices, {
    render: () => controls.render(),
    state: () => showState(meeting),
    ended: (bye) => ended(endTitle(bye.code), refusal(bye.code, bye.text)),
    panel: (name) => $(`${name}-panel`).hidden && controls.panel(name),
    silent: () => soundOnClick(),
  });
  const join = new JoinScreen({ room, token }, devices, (name) => {
    show("meeting");
    meeting.join({ room, token, name });
    controls.useSpeaker();
    controls.render();
  });
  const controls = new Controls(meeting, devices, { room, token, leave: () => {
    meeting.leave();
    ended("You have left", `You can come back to ${room} at any time.`);
  } });

  function ended(title, text) {
    devices.end();
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    if (!$("panel").hidden) controls.panel(null);
    if (document.fullscreenElement) document.exitFullscreen();
    $("ended-title").textContent = title;
    $("again").textContent = meeting.welcome ? "Join again" : "Try again";
    $("ended-text").textContent = text;
    document.title = title;
    show("ended");
  }

  $("again").addEventListener("click", () => join.open());
  navigator.mediaDevices?.addEventListener?.("devicechange", () => listDevices());
  addEventListener("pagehide", () => meeting.joined && meeting.leave());
  // A page that comes back out of the browser's cache has left its meeting.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  // Another link into the same room: the browser itself loads nothing for it.
  addEventListener("hashchange", () => (meeting.joined ? takeToken(room) : location.reload()));
  join.open();
}

/** In words and colour: how the connection is. */
function showState({ socketState, lastMedia, media, roster }) {
  const lost = socketState?.state === "lost" || (socketState?.state === "connecting" && socketState.losses);
  const [state, text] = lost ? ["lost", "Reconnecting …"]
    : socketState?.state !== "welcome" ? ["connecting", "Connecting …"]
    : lastMedia === "connected" && roster.me !== null ? ["good", "Connected"]
    : lastMedia === "interrupted" ? ["waiting", "Interrupted …"] : ["waiting", "Connecting sound …"];
  $("state").dataset.state = state;
  $("state").textContent = text;
  const waits = socketState?.state === "lost";
  const blocked = state === "waiting" && media.failures > 2;
  $("banner").hidden = !waits && !blocked;
  $("banner-button").hidden = !waits;
  $("banner-text").textContent = waits
    ? `The connection to the server is lost. Trying again ${socketState.seconds < 2 ? "now" : `in ${Math.round(socketState.seconds)} s`} …`
    : "Sound and pictures do not get through: a firewall may be in the way. Trying on …";
}

/** Where the browser plays nothing without a click: the next one will do. */
function soundOnClick() {
  $("banner").hidden = false;
  $("banner-button").hidden = true;
  $("banner-text").textContent = "Click anywhere to hear the others.";
  addEventListener("pointerdown", () => {
    audioContext();
    $("sound").play().catch(() => {});
    $("banner").hidden = true;
  }, { once: true });
}
