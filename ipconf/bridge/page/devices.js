// Camera, microphone and shared screen: which are chosen, what they send, why one does not.

import { mixed, silence } from "./sounds.js";
import { recall, remember } from "./page.js";
import { deviceProblem, INSECURE, WITHOUT_DEVICES } from "./words.js";

/** Width, height and pictures a second of one's own picture. */
const SIZES = { sharp: [1280, 720, 24], normal: [640, 360, 24], small: [320, 180, 12] };
/** Music is no noise; and what this page plays itself, the others, is not to be sent to them again. */
const SHARED_SOUND = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, restrictOwnAudio: true };
const WORDS = { audio: "microphone", video: "camera" };

export const canCapture = () => Boolean(navigator.mediaDevices?.getUserMedia);
export const canShare = () => Boolean(navigator.mediaDevices?.getDisplayMedia);

/** Owns what is captured. `changed()` is called whenever a track comes or goes. */
export class Devices {
  constructor(changed) {
    this.changed = changed;
    this.tracks = { audio: null, video: null };
    this.wanted = { audio: recall("microphone", "on") === "on", video: recall("camera", "on") === "on" };
    this.problems = { audio: "", video: "" };
    this.screen = null;
    this.mix = null;
  }

  /** Sentences on what does not work; none where all that is wanted does. */
  get trouble() {
    if (!canCapture()) return [INSECURE];
    const found = Object.values(this.problems).filter(Boolean);
    return found.length ? [...new Set(found), WITHOUT_DEVICES] : [];
  }

  /** Ask for both at once, so that the browser asks once; where that fails, for each alone. */
  async begin() {
    if (!canCapture()) return this.changed();
    if (this.wanted.audio && this.wanted.video) {
      try {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints("audio"), video: constraints("video") });
        stream.getTracks().forEach((track) => this.#keep(track.kind, track));
        return this.changed();
      } catch {
        // Which of them it was is found out below.
      }
    }
    // The microphone also if it is off: switching it on later is quick then.
    await this.#start("audio");
    if (this.wanted.video) await this.#start("video");
    this.changed();
  }

  get microphone() { return this.wanted.audio && this.tracks.audio !== null; }
  get camera() { return this.wanted.video && this.tracks.video !== null; }

  /** The sound to send: the microphone, with the sound of a shared tab where there is one. */
  get sound() { return this.mix?.track ?? this.tracks.audio ?? silence(); }

  /** Microphone on or off. It is only silenced: to open it anew takes long. */
  async useMicrophone(on) {
    this.wanted.audio = on;
    remember("microphone", on ? "on" : "off");
    if (on && !this.tracks.audio) await this.#start("audio");
    if (this.tracks.audio) this.tracks.audio.enabled = on;
    this.changed();
  }

  /** Camera on or off. Off is really off: its light goes out. */
  async useCamera(on) {
    this.wanted.video = on;
    remember("camera", on ? "on" : "off");
    if (on && !this.tracks.video) await this.#start("video");
    if (!on) this.#drop("video");
    this.changed();
  }

  /** Another device, by its id; "" for the browser's choice. */
  async choose(kind, id) {
    remember(`${kind}-device`, id);
    if (kind === "video" && !this.wanted.video) return;
    this.#drop(kind);
    await this.#start(kind);
    this.changed();
  }

  /** Open it anew, because what is wanted of it has changed. */
  async renew(kind) {
    if (!this.tracks[kind]) return;
    this.#drop(kind);
    await this.#start(kind);
    this.changed();
  }

  async #start(kind) {
    if (!canCapture()) return;
    this.problems[kind] = "";
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ [kind]: constraints(kind) });
      this.#keep(kind, stream.getTracks()[0]);
    } catch (error) {
      const gone = error.name === "OverconstrainedError" && recall(`${kind}-device`);
      if (!gone) return void (this.problems[kind] = deviceProblem(error, WORDS[kind]));
      remember(`${kind}-device`, "");
      await this.#start(kind);
    }
  }

  #keep(kind, track) {
    this.#drop(kind);
    this.problems[kind] = "";
    this.tracks[kind] = track;
    track.enabled = kind === "video" || this.wanted.audio;
    if (kind === "video") track.contentHint = "motion";
    track.addEventListener("ended", () => {
      if (this.tracks[kind] !== track) return;
      this.problems[kind] = `Your ${WORDS[kind]} was unplugged or taken away.`;
      this.#drop(kind);
      this.changed();
    });
    if (kind === "audio") this.#mixAnew();
  }

  #drop(kind) {
    this.tracks[kind]?.stop();
    this.tracks[kind] = null;
    if (kind === "audio") this.#mixAnew();
  }

  /** Share a screen, window or tab; raises NotAllowedError where the person thinks better of it. */
  async share() {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: SHARED_SOUND });
    this.screen = stream;
    const picture = stream.getVideoTracks()[0];
    picture.contentHint = "detail";
    picture.addEventListener("ended", () => this.unshare());
    this.#mixAnew();
    this.changed();
  }

  unshare() {
    this.screen?.getTracks().forEach((track) => track.stop());
    this.screen = null;
    this.#mixAnew();
    this.changed();
  }

  #mixAnew() {
    this.mix?.close();
    const tab = this.screen?.getAudioTracks()[0];
    const all = [this.tracks.audio, tab].filter(Boolean);
    this.mix = tab ? mixed(all) : null;
  }

  /** Let go of everything. */
  end() {
    this.unshare();
    this.#drop("audio");
    this.#drop("video");
    this.changed();
  }
}

function constraints(kind) {
  const id = recall(`${kind}-device`);
  const chosen = id ? { deviceId: { exact: id } } : {};
  if (kind === "video") {
    const [width, height, rate] = SIZES[recall("picture", "sharp")] ?? SIZES.sharp;
    return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate, max: 30 }, ...chosen };
  }
  const on = recall("processing", "on") === "on";
  return { echoCancellation: on, noiseSuppression: on, autoGainControl: on, ...chosen };
}

const NAMES = { audioinput: "Microphone", videoinput: "Camera", audiooutput: "Loudspeaker" };
const KEYS = { audioinput: "audio-device", videoinput: "video-device", audiooutput: "speaker" };

/** Fill all lists of devices on the page with what there is now. */
export async function listDevices() {
  const found = (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
  for (const list of document.querySelectorAll("select[data-devices]")) {
    const kind = list.dataset.devices;
    // Without permission devices have neither ids nor names: there is nothing to choose.
    const there = found.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default");
    const options = there.map((device, number) => new Option(device.label || `${NAMES[kind]} ${number + 1}`, device.deviceId));
    list.replaceChildren(new Option(there.length ? "The browser’s choice" : "None found", ""), ...options);
    list.value = there.some((device) => device.deviceId === recall(KEYS[kind])) ? recall(KEYS[kind]) : "";
    list.disabled = !there.length;
  }
}
