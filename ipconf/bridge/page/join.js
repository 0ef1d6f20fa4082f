// The screen before joining: name, devices, what others will see, what does not work.

import { $, hue, initials, recall, remember, show } from "./page.js";
import { listDevices } from "./devices.js";
import { showSwitch } from "./people.js";
import { meter } from "./sounds.js";

/** Shows the screen; `ready(name)` is called when the person joins. */
export class JoinScreen {
  constructor({ room, token }, devices, ready) {
    this.devices = devices;
    this.#call(room);
    this.#learnSubject(room, token);
    $("join-name").value = recall("name");
    $("join-name").addEventListener("input", () => this.#avatar());
    $("join-microphone").addEventListener("click", () => devices.useMicrophone(!devices.microphone));
    $("join-camera").addEventListener("click", () => devices.useCamera(!devices.camera));
    $("join-form").addEventListener("submit", (event) => {
      event.preventDefault();
      remember("name", $("join-name").value.trim());
      this.close();
      ready($("join-name").value.trim() || "Guest");
    });
  }

  async open() {
    show("join");
    this.isOpen = true;
    this.#call(this.called);
    this.#avatar();
    this.render();
    $("join-name").focus();
    await this.devices.begin();
    await listDevices();
  }

  /** What the room is called: its name, until it is known whether we may know more. */
  #call(words) {
    this.called = words;
    $("join-room").textContent = words;
    if (this.isOpen) document.title = `Join ${words}`;
  }

  async #learnSubject(room, token) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    // Whatever is wrong here, joining will tell it in words.
    const answer = await fetch(`/${room}/about`, { headers }).catch(() => null);
    if (answer?.ok) this.#call((await answer.json()).subject);
  }

  #avatar() {
    const name = $("join-name").value.trim() || "Guest";
    $("preview-avatar").textContent = initials(name);
    $("preview-avatar").dataset.hue = hue(name);
  }

  /** The devices have changed. */
  render() {
    if (!this.isOpen) return;
    const { devices } = this;
    showSwitch($("join-microphone"), devices.microphone, { icons: ["mic", "mic-off"], labels: ["Switch off", "Switch on"] });
    showSwitch($("join-camera"), devices.camera, { icons: ["camera", "camera-off"], labels: ["Switch off", "Switch on"] });
    const picture = devices.tracks.video;
    const video = $("preview-video");
    if (picture !== this.picture) {
      this.picture = picture;
      video.srcObject = picture ? new MediaStream([picture]) : null;
      video.className = "mirrored";
    }
    $("preview").dataset.picture = picture ? "on" : "off";
    this.#meter(devices.tracks.audio);
    const lines = devices.trouble.map((text) => Object.assign(document.createElement("p"), { textContent: text }));
    $("join-problem").hidden = !lines.length;
    if ($("join-problem").textContent !== devices.trouble.join("")) $("join-problem").replaceChildren(...lines);
  }

  #meter(track) {
    if (track === this.metered) return;
    this.metered = track;
    this.endMeter?.();
    $("join-level").value = 0;
    this.endMeter = track ? meter(track, (level) => ($("join-level").value = level)) : null;
  }

  close() {
    this.isOpen = false;
    this.endMeter?.();
    this.endMeter = this.metered = this.picture = null;
    $("preview-video").srcObject = null;
  }
}
