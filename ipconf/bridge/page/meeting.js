// One meeting, from joining to leaving: what the server tells goes to those who show it.

import { $, alarm, announce } from "./page.js";
import { Chat } from "./chat.js";
import { Connection } from "./connection.js";
import { Heights } from "./heights.js";
import { Media } from "./media.js";
import { tellNews } from "./news.js";
import { People } from "./people.js";
import { Plots } from "./plots.js";
import { Roster } from "./roster.js";
import { silence } from "./sounds.js";
import { Tiles } from "./tiles.js";
import { ROLES } from "./words.js";

const OWN = "own";

export class Meeting {
  /** `told`: {render(), state(), ended(bye), panel(name), silent()} of the page around it. */
  constructor(devices, told) {
    this.devices = devices;
    this.told = told;
    this.roster = new Roster();
    this.pinned = null;
    this.slots = [];
    this.streams = new Map();
    const send = (message) => this.send(message);
    const pin = (key) => this.pin(key);
    this.tiles = new Tiles({ pin, pinned: () => this.pinned, showPeople: () => told.panel("people"), resized: () => this.heights.look(this.slots) });
    this.heights = new Heights((key) => this.tiles.height(key), (heights) => this.connection?.send({ type: "heights", heights }));
    this.people = new People({ send, pin, write: (id) => (told.panel("chat"), this.chat.writeTo(id)) });
    const write = (message) => (this.roster.known ? send(message) : alarm("You can write as soon as you are connected."));
    this.chat = new Chat({ send: write, visible: () => !$("chat-panel").hidden && !$("panel").hidden });
    this.plots = new Plots();
    this.media = new Media((message) => this.connection?.send(message), {
      state: (state) => this.#mediaState(state),
      sound: (stream) => this.#hear(stream),
      pictures: (streams) => ((this.streams = streams), (this.slots = []), this.heights.forget(), this.render()),
    });
  }

  join({ room, token, name }) {
    this.name = name;
    this.watching = false;
    this.lastMedia = null;
    this.welcome = this.refusal = null;
    this.chat.clear();
    this.#forget();
    this.connection = new Connection({ room, token, name }, {
      state: (state, detail) => this.#socketState(state, detail),
      message: (message) => this.#heard(message),
    });
    this.devicesChanged();
  }

  get joined() { return this.connection !== null && this.connection !== undefined; }
  get mine() { return this.roster.mine; }
  get role() { return this.mine?.role ?? this.welcome?.role ?? "guest"; }
  get moderator() { return this.role === "moderator"; }
  get viewer() { return ROLES[this.role] === "viewer"; }

  /** Send a message; where that cannot be, say so. */
  send(message) {
    const sent = Boolean(this.connection?.send(message));
    if (!sent) alarm("That did not go out: there is no connection to the server.");
    return sent;
  }

  leave() {
    this.connection?.leave();
    this.#end();
  }

  #end() {
    this.connection = null;
    this.media.close();
    $("sound").srcObject = null;
    this.#forget();
  }

  #forget() {
    this.roster.clear();
    this.people.forget();
    this.plots.forget();
    this.tiles.render([], new Set());
    this.slots = [];
    this.streams = new Map();
    this.pinned = null;
  }

  // -- what the server tells

  #socketState(state, detail) {
    this.socketState = { losses: this.socketState?.losses, ...detail, state };
    if (state === "welcome") this.socketState.losses = 0;
    if (state === "welcome") this.#welcomed(detail);
    if (state === "lost") this.media.rest();
    if (state === "lost" && detail.losses === 1) announce("The connection to the server is lost.");
    if (state === "bye") this.#end();
    // Why a hello was refused stands in the error before the bye.
    if (state === "bye") this.told.ended(detail.code === "refused" && this.refusal ? this.refusal : detail);
    else this.told.state();
  }

  #welcomed(welcome) {
    const again = this.welcome !== null;
    this.welcome = welcome;
    this.name = welcome.name;
    this.greeted = false;
    if (again) announce("The connection is back.");
    this.heights.forget();
    if (!welcome.resumed) this.roster.clear();
    this.#useRole();
    // A guest who was found again may still have the connection; a new guest has none.
    if (!welcome.resumed || !this.media.working) this.media.start(welcome.ice_servers, welcome.slots);
    this.tellDevices(true);
    this.told.render();
  }

  #heard(message) {
    const handler = {
      answer: () => this.media.answered(message),
      roster: () => this.#roster(message),
      slots: () => ((this.slots = message.slots), this.render()),
      levels: () => this.tiles.talking(new Set([...Object.keys(message.levels), ...this.roster.talking])),
      said: () => this.chat.said(message, this.roster, !this.greeted),
      quality: () => (this.tiles.quality(message.people), this.plots.add(message.people, this.roster)),
      error: () => this.#refused(message),
    };
    handler[message.type]?.();
  }

  #refused({ code, text, about }) {
    console.warn("Refused:", code, text, about);
    if (about === "candidate") return;
    if (about === "hello") return void (this.refusal = { code, text });
    if (about === "offer") this.media.refused();
    alarm(text);
  }

  #roster(message) {
    const unknown = this.roster.me === null;
    const news = this.roster.take(message);
    this.greeted = true; // what was said before we came stands before the first roster
    if (this.pinned && this.pinned !== OWN && !this.roster.people.has(this.pinned.split("/")[0])) this.pinned = null;
    this.#useRole();
    tellNews(news);
    this.people.render(this.roster, this.moderator);
    if (unknown && this.roster.me !== null) {
      this.people.tellVolumes(); // of those who are still there
      this.told.state();
    }
    this.chat.people(this.roster);
    this.render();
    this.told.render();
  }

  /** Who may only watch needs no devices: their lights go out until that changes. */
  #useRole() {
    if (this.viewer === this.watching) return;
    this.watching = this.viewer;
    if (this.viewer) this.devices.end();
    else if (!this.devices.tracks.audio) this.devices.begin();
    this.devicesChanged();
  }

  // -- sound and pictures

  #mediaState(state) {
    if (state === "interrupted" && this.lastMedia === "connected") announce("Sound and pictures are interrupted.");
    this.lastMedia = state;
    this.told.state();
  }

  async #hear(stream) {
    $("sound").srcObject = stream;
    await $("sound").play().catch(() => this.told.silent());
  }

  /** A track came or went, or is on or off. */
  devicesChanged() {
    if (!this.joined) return;
    const { devices } = this;
    const [sound, camera, screen] = this.viewer ? [silence(), null, null]
      : [devices.sound, devices.tracks.video, devices.screen?.getVideoTracks()[0] ?? null];
    this.media.use(sound, camera, screen);
    this.tellDevices();
    this.render();
    this.told.render();
  }

  /** Tell the others whether microphone and camera are on, where that has changed. */
  tellDevices(all = false) {
    for (const what of ["microphone", "camera"]) {
      const on = this.devices[what] && !this.viewer;
      if (!all && this.toldDevices?.[what] === on) continue;
      if (this.connection?.send({ type: what, on })) this.toldDevices = { ...this.toldDevices, [what]: on };
    }
  }

  /** Make somebody large, or small again; the server is asked to send who else might be left out. */
  pin(key) {
    const before = this.pinned;
    this.pinned = before === key ? null : key;
    if (before && this.roster.people.has(before)) this.send({ type: "unpin", person: before });
    if (this.pinned && this.roster.people.has(key)) this.send({ type: "pin", person: key });
    this.render();
  }

  render() {
    if (!this.joined) return;
    const pictures = new Map();
    for (const { mid, person, content } of this.slots) {
      if (person && this.streams.has(mid)) pictures.set(content === "slides" ? `${person}/slides` : person, this.streams.get(mid));
    }
    const shown = [{ key: OWN, person: this.#self(), own: true, stream: this.#ownPicture() }];
    for (const person of this.roster.everybody) {
      const slides = `${person.id}/slides`;
      if (pictures.has(slides)) shown.push({ key: slides, person, content: "slides", stream: pictures.get(slides) });
      if (person.id !== this.roster.me) shown.push({ key: person.id, person, stream: person.camera ? pictures.get(person.id) : null });
    }
    const screens = shown.filter((each) => each.content === "slides" && each.person.id !== this.roster.me);
    const large = new Set(this.pinned ? [this.pinned] : screens.slice(0, 1).map((each) => each.key));
    this.tiles.render(shown.filter((each) => each.content !== "slides" || screens.includes(each)), large);
    $("alone").hidden = shown.length > 1 || !this.roster.known;
    this.heights.look(this.slots);
  }

  #self() {
    const { devices, mine } = this;
    return { id: this.roster.me, name: this.name, hand: null, muted: false, ...mine, mic: devices.microphone && !this.viewer };
  }

  /** The same stream for the same track, so that the picture does not begin anew. */
  #ownPicture() {
    const track = this.viewer ? null : this.devices.tracks.video;
    if (track !== this.ownTrack) {
      this.ownTrack = track;
      this.ownStream = track ? new MediaStream([track]) : null;
    }
    return this.ownStream;
  }
}
