// Toolbar, menu, panel, dialogs and keys of the meeting.

import { $, alarm, announce, confirmed, recall, remember } from "./page.js";
import { canShare, listDevices } from "./devices.js";
import { inviteLink } from "./address.js";
import { showSwitch } from "./people.js";
import { deviceProblem } from "./words.js";

const KEYS = { m: "microphone", v: "camera", s: "screen", h: "hand", c: "chat", p: "people", f: "full", "?": "help" };

export class Controls {
  constructor(meeting, devices, { room, token, leave }) {
    Object.assign(this, { meeting, devices, room, token });
    this.does = {
      microphone: () => this.#microphone(),
      camera: () => this.#camera(),
      screen: () => this.#screen(),
      hand: () => meeting.send({ type: "hand", raised: !this.#handUp }),
      chat: () => this.panel("chat"),
      people: () => this.panel("people"),
      plots: () => this.panel("plots"),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen().catch(() => {})),
      settings: () => this.#settings(),
      help: () => $("help").showModal(),
      invite: () => this.#invite(),
      "mute-all": () => this.#muteAll(),
      lock: () => meeting.send({ type: "lock", locked: !meeting.roster.locked }),
      record: () => meeting.send({ type: "record", on: !meeting.roster.recording }),
      end: () => this.#end(),
      leave,
    };
    const buttons = { microphone: "microphone", camera: "camera", screen: "screen", hand: "hand", chat: "chat", "people-button": "people", "plots-button": "plots", leave: "leave", "invite-button": "invite", "alone-invite": "invite" };
    for (const [id, what] of Object.entries(buttons)) $(id).addEventListener("click", () => this.does[what]());
    for (const button of document.querySelectorAll("#more-menu [data-does]")) {
      button.addEventListener("click", () => ($("more-menu").hidePopover(), this.does[button.dataset.does]()));
    }
    $("more-menu").addEventListener("toggle", (event) => $("more").setAttribute("aria-expanded", event.newState === "open"));
    $("panel-close").addEventListener("click", () => this.panel(null));
    $("banner-button").addEventListener("click", () => meeting.connection?.retry());
    $("copy").addEventListener("click", () => this.#copy());
    document.addEventListener("keydown", (event) => this.#key(event));
    this.#settingsChanges();
  }

  get #handUp() { return this.meeting.mine?.hand != null; }

  #key(event) {
    if (!this.meeting.joined || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && !$("panel").hidden && !$("more-menu").matches(":popover-open")) return this.panel(null);
    const typing = event.target.closest?.("input:not([type=range]), textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || recall("shortcuts", "on") !== "on") return;
    const what = KEYS[event.key.toLowerCase()];
    if (!what || (what === "screen" && !canShare())) return;
    event.preventDefault();
    this.does[what]();
  }

  /** Show what the meeting is like now. */
  render() {
    const { meeting, devices } = this;
    const { roster, welcome, moderator, viewer } = meeting;
    $("room-title").textContent = welcome?.subject || this.room;
    document.title = `${welcome?.subject || this.room} – conference`;
    $("recording").hidden = !roster.recording;
    $("locked").hidden = !roster.locked;
    const heard = devices.microphone && !meeting.mine?.muted;
    showSwitch($("microphone"), heard, { icons: ["mic", "mic-off"], labels: ["Mute", meeting.mine?.muted ? "Muted by a moderator" : "Unmute"] });
    showSwitch($("camera"), devices.camera, { icons: ["camera", "camera-off"], labels: ["Camera off", "Camera on"] });
    showSwitch($("screen"), devices.screen !== null, { labels: ["Stop sharing", "Share screen"], off: false });
    showSwitch($("hand"), this.#handUp, { labels: ["Lower hand", "Raise hand"], off: false });
    for (const id of ["screen", "hand"]) $(id).classList.toggle("lit", $(id).getAttribute("aria-pressed") === "true");
    for (const id of ["microphone", "camera", "screen"]) $(id).hidden = viewer;
    $("screen").hidden ||= !canShare();
    const shared = document.querySelector("#more-menu [data-does=screen]");
    shared.hidden = viewer || !canShare();
    shared.querySelector("span").textContent = devices.screen ? "Stop sharing" : "Share screen";
    $("moderation").hidden = !moderator;
    $("record").hidden = !welcome?.can_record;
    $("lock").setAttribute("aria-pressed", roster.locked);
    $("lock").lastChild.textContent = roster.locked ? "Unlock the room" : "Lock the room";
    $("record").setAttribute("aria-pressed", roster.recording);
    $("record").lastChild.textContent = roster.recording ? "Stop recording" : "Record";
  }

  async #microphone() {
    const { devices, meeting } = this;
    if (meeting.viewer) return;
    if (meeting.mine?.muted && meeting.moderator) return void meeting.send({ type: "mute", person: meeting.roster.me, muted: false });
    if (meeting.mine?.muted) return alarm("A moderator has muted you: raise your hand to be let speak.");
    await devices.useMicrophone(!devices.microphone);
    this.#complain("audio");
  }

  async #camera() {
    if (this.meeting.viewer) return;
    await this.devices.useCamera(!this.devices.camera);
    this.#complain("video");
  }

  #complain(kind) {
    if (this.devices.wanted[kind] && !this.devices.tracks[kind]) alarm(this.devices.problems[kind] || this.devices.trouble[0]);
  }

  async #screen() {
    const { devices } = this;
    if (devices.screen) return devices.unshare();
    try {
      await devices.share();
      announce("You share your screen.");
    } catch (error) {
      if (error.name !== "NotAllowedError") alarm(deviceProblem(error, "screen"));
    }
  }

  /** Open the panel with this in it; close it where it is open with this, or for null. */
  panel(name) {
    const open = name !== null && ($("panel").hidden || $(`${name}-panel`).hidden);
    const inside = $("panel").contains(document.activeElement);
    const before = document.querySelector("[data-panel][aria-expanded=true]");
    $("panel").hidden = !open;
    for (const section of $("panel").querySelectorAll("section")) section.hidden = section.id !== `${name}-panel`;
    for (const button of document.querySelectorAll("[data-panel]")) button.setAttribute("aria-expanded", open && button.dataset.panel === name);
    if (!open) return inside && (before?.offsetParent ? before : $("more")).focus();
    $("panel-title").textContent = $(`${name}-panel`).dataset.title;
    if (name === "chat") this.meeting.chat.read();
    if (name === "plots") this.meeting.plots.draw();
    (name === "chat" ? $("chat-text") : $("panel-close")).focus();
  }

  async #muteAll() {
    for (const person of this.meeting.roster.everybody) {
      if (person.id !== this.meeting.roster.me && !person.muted && person.role !== "listener") this.meeting.send({ type: "mute", person: person.id, muted: true });
    }
  }

  async #end() {
    if (await confirmed("End the meeting for everybody?", "End it")) this.meeting.send({ type: "end" });
  }

  #invite() {
    const made = this.meeting.welcome?.invitation;
    const own = this.token && this.meeting.role !== "moderator" ? this.token : "";
    $("invite-link").value = inviteLink(this.room, made ?? own);
    $("invite-note").textContent = made
      ? "An invitation for guests is in it: whoever has the link may come in, for a week."
      : own
        ? "It has your own invitation in it: whoever has the link may come in as you may."
        : "Whoever has the link may come in.";
    $("copy").textContent = "Copy";
    $("invite").showModal();
    $("copy").focus();
  }

  async #copy() {
    $("invite-link").select();
    try {
      await navigator.clipboard.writeText($("invite-link").value);
    } catch {
      document.execCommand("copy"); // without a secure connection there is no clipboard API
    }
    $("copy").textContent = "Copied";
    $("alert").textContent = "The link is copied.";
  }

  async #settings() {
    await listDevices();
    $("set-speaker").hidden = $("set-speaker-label").hidden = !$("sound").setSinkId;
    $("set-processing").checked = recall("processing", "on") === "on";
    $("set-sounds").checked = recall("sounds", "on") === "on";
    $("set-shortcuts").checked = recall("shortcuts", "on") === "on";
    $("set-picture").value = recall("picture", "sharp");
    $("settings").showModal();
  }

  #settingsChanges() {
    for (const [id, key] of [["set-processing", "processing"], ["set-sounds", "sounds"], ["set-shortcuts", "shortcuts"]]) {
      $(id).addEventListener("change", () => {
        remember(key, $(id).checked ? "on" : "off");
        if (key === "processing") this.devices.renew("audio");
      });
    }
    for (const list of document.querySelectorAll("select[data-devices=audioinput]")) list.addEventListener("change", () => this.devices.choose("audio", list.value));
    for (const list of document.querySelectorAll("select[data-devices=videoinput]")) list.addEventListener("change", () => this.devices.choose("video", list.value));
    $("set-speaker").addEventListener("change", () => {
      remember("speaker", $("set-speaker").value);
      this.useSpeaker();
    });
    $("set-picture").addEventListener("change", () => {
      remember("picture", $("set-picture").value);
      this.devices.renew("video");
    });
    $("set-slots").addEventListener("change", () => {
      const value = $("set-slots").value;
      this.meeting.send({ type: "slots", count: value === "" ? null : Number(value) });
    });
  }

  useSpeaker() {
    $("sound").setSinkId?.(recall("speaker")).catch(() => {});
  }
}
