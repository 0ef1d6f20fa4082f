// The list of people in the panel, with what can be done about each.

import { $, confirmed, copyOf, hue, initials, setIcon } from "./page.js";
import { KINDS, ROLES } from "./words.js";

/** The slider is too quick for the server: so often it is told at most. */
const VOLUME_MS = 120;

export class People {
  constructor(actions) {
    this.actions = actions;
    this.rows = new Map();
  }

  /** `moderator`: whether one may mute and remove. Rows stay what they are: no focus is lost. */
  render(roster, moderator) {
    const everybody = roster.everybody;
    for (const [id, row] of this.rows) {
      if (roster.people.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    everybody.forEach((person, position) => {
      const row = this.#row(person, person.id === roster.me, moderator);
      if ($("people").children[position] !== row) $("people").insertBefore(row, $("people").children[position] ?? null);
    });
    $("count").textContent = everybody.length;
  }

  #row(person, own, moderator) {
    const row = this.rows.get(person.id) ?? this.#make(person.id);
    Object.assign(row.dataset, { muted: person.muted || !person.mic, hand: person.hand !== null, talking: Boolean(person.talking), hue: hue(person.name) });
    row.querySelector(".avatar").textContent = initials(person.name);
    row.querySelector(".name").textContent = own ? `${person.name} (you)` : person.name;
    row.querySelector(".about").textContent = about(person);
    row.querySelector(".more").setAttribute("aria-label", `More about ${person.name}`);
    row.querySelector(".volume").hidden = own;
    row.querySelector(".volume input").setAttribute("aria-label", `Volume of ${person.name}`);
    const does = {
      pin: true,
      write: !own,
      mute: moderator && ROLES[person.role] !== "viewer",
      lower: moderator && !own && person.hand !== null,
      spotlight: moderator && (person.camera || person.screen),
      speaker: moderator && !own && person.role !== "moderator",
      remove: moderator && !own,
    };
    for (const button of row.querySelectorAll("button[data-does]")) button.hidden = !does[button.dataset.does];
    row.querySelector("[data-does=mute]").textContent = person.muted ? "Unmute" : "Mute";
    row.querySelector("[data-does=speaker]").textContent = ROLES[person.role] === "viewer" ? "Let speak" : "Only let watch";
    row.person = person;
    return row;
  }

  #make(id) {
    const row = copyOf("person-template");
    row.dataset.person = id;
    const more = row.querySelector(".more");
    const actions = row.querySelector(".actions");
    more.addEventListener("click", () => {
      actions.hidden = !actions.hidden;
      more.setAttribute("aria-expanded", !actions.hidden);
    });
    for (const button of actions.querySelectorAll("button")) {
      button.addEventListener("click", () => this.#do(button.dataset.does, row.person, row));
    }
    this.#volume(row.querySelector(".volume input"), id);
    this.rows.set(id, row);
    return row;
  }

  #volume(slider, id) {
    let timer = null;
    slider.addEventListener("input", () => {
      slider.setAttribute("aria-valuetext", `${slider.value} per cent`);
      timer ??= setTimeout(() => {
        timer = null;
        this.actions.send({ type: "volume", person: id, gain: slider.value / 100 });
      }, VOLUME_MS);
    });
  }

  /** Volumes are the server's and a new guest begins with none: tell it what the sliders say. */
  tellVolumes() {
    for (const [id, row] of this.rows) {
      const value = Number(row.querySelector(".volume input").value);
      if (value !== 100) this.actions.send({ type: "volume", person: id, gain: value / 100 });
    }
  }

  async #do(what, person, row) {
    const { send } = this.actions;
    if (what === "pin") this.actions.pin(person.id);
    else if (what === "write") this.actions.write(person.id);
    else if (what === "mute") send({ type: "mute", person: person.id, muted: !person.muted });
    else if (what === "lower") send({ type: "lower", person: person.id });
    else if (what === "spotlight") send({ type: "spotlight", person: person.id, on: toggled(row, "spotlight") });
    else if (what === "speaker") send({ type: "role", person: person.id, role: ROLES[person.role] === "viewer" ? "speaker" : "listener" });
    else if (await confirmed(`Remove ${person.name} from the room?`, "Remove")) send({ type: "remove", person: person.id });
  }

  forget() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
  }
}

function toggled(row, what) {
  const button = row.querySelector(`[data-does=${what}]`);
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  return on;
}

function about(person) {
  const facts = [ROLES[person.role] ?? person.role, KINDS[person.kind] ?? "", person.muted && person.role !== "listener" ? "muted by a moderator" : "", person.screen ? "shares a screen" : "", person.hand !== null ? "hand raised" : ""];
  return facts.filter(Boolean).join(" · ");
}

/** A button that is on or off: how it looks, and what a click on it does in words. */
export function showSwitch(button, on, { icons, labels, off = true }) {
  button.setAttribute("aria-pressed", on);
  button.classList.toggle("off", !on && off);
  if (icons) setIcon(button, on ? icons[0] : icons[1]);
  button.title = on ? labels[0] : labels[1];
}
