// The pictures: one tile for each person, large ones on the stage, the others in the grid.

import { $, copyOf, hue, initials } from "./page.js";
import { percent, SCORES } from "./words.js";

const SHAPE = 16 / 9;
const GAP = 10;
const LEAST_WIDTH = 148;
const MOST_TILES = 25;
const STRIP = 12;

export class Tiles {
  constructor(actions) {
    this.actions = actions;
    this.tiles = new Map();
    this.rest = document.createElement("button");
    this.rest.type = "button";
    this.rest.className = "tile rest";
    this.rest.id = "rest";
    this.rest.addEventListener("click", actions.showPeople);
    new ResizeObserver(() => (this.#measure(), actions.resized())).observe($("stage-and-grid"));
  }

  /** `shown`: [{key, person, content, stream, own}], in order; `large`: the keys on the stage. */
  render(shown, large) {
    const wanted = new Set(shown.map((each) => each.key));
    for (const [key, tile] of this.tiles) {
      if (wanted.has(key)) continue;
      tile.querySelector("video").srcObject = null;
      tile.remove();
      this.tiles.delete(key);
    }
    const onStage = shown.filter((each) => large.has(each.key));
    const others = shown.filter((each) => !large.has(each.key));
    const room = onStage.length ? STRIP : this.#room();
    const inGrid = others.length > room ? first(others, room - 1) : others;
    $("stage-and-grid").classList.toggle("staged", onStage.length > 0);
    this.#place($("stage"), onStage);
    this.#place($("grid"), inGrid, others.length - inGrid.length);
    // Tiles that nobody sees need no decoder of the browser.
    for (const each of others) if (!inGrid.includes(each)) this.#tile(each).remove();
    this.#measure();
  }

  #place(parent, members, more = 0) {
    const elements = members.map((each) => this.#tile(each));
    if (more) {
      this.rest.textContent = `and ${more} more`;
      elements.push(this.rest);
    } else if (parent === this.rest.parentElement) this.rest.remove();
    // Only what is out of place is moved: a moved video stops, a moved button loses the focus.
    elements.forEach((element, position) => {
      if (parent.children[position] !== element) parent.insertBefore(element, parent.children[position] ?? null);
    });
    while (parent.children.length > elements.length) parent.lastChild.remove();
  }

  #tile({ key, person, content, stream, own }) {
    const tile = this.tiles.get(key) ?? this.#make(key);
    const slides = content === "slides";
    const name = own ? `${person.name} (you)` : slides ? `${person.name}: screen` : person.name;
    set(tile.dataset, { person: person.id ?? "", name: person.name, hue: hue(person.name), content: content || "camera" });
    set(tile.dataset, { muted: !slides && (person.muted || !person.mic), talking: !slides && Boolean(person.talking), own: Boolean(own) });
    tile.classList.toggle("slides", slides);
    text(tile.querySelector(".name"), name);
    text(tile.querySelector(".avatar"), initials(person.name));
    tile.setAttribute("aria-label", describe(name, person, slides, Boolean(stream)));
    tile.querySelector(".hand").hidden = slides || person.hand === null || person.hand === undefined;
    this.#pin(tile, name, key === this.actions.pinned());
    this.#video(tile, stream, own);
    return tile;
  }

  #pin(tile, name, pinned) {
    const button = tile.querySelector(".pin");
    button.setAttribute("aria-pressed", pinned);
    button.setAttribute("aria-label", pinned ? `Make ${name} small again` : `Make ${name} large`);
    button.title = pinned ? "Make small again" : "Make large";
  }

  #video(tile, stream, own) {
    const video = tile.querySelector("video");
    video.classList.toggle("mirrored", Boolean(own));
    if (video.srcObject !== (stream ?? null)) {
      video.srcObject = stream ?? null;
      tile.dataset.picture = "off";
      if (stream) reveal(tile, video, stream);
    }
    if (!stream) tile.dataset.picture = "off";
    // A video that was moved in the document stands still until it is told to go on.
    if (stream && video.paused) video.play().catch(() => {});
  }

  #make(key) {
    const tile = copyOf("tile-template");
    tile.dataset.key = key;
    tile.addEventListener("dblclick", () => this.actions.pin(key));
    tile.querySelector(".pin").addEventListener("click", () => this.actions.pin(key));
    this.tiles.set(key, tile);
    return tile;
  }

  /** `people`: by id, as in the server's quality message. */
  quality(people) {
    for (const tile of this.tiles.values()) {
      const found = tile.dataset.content === "camera" ? people[tile.dataset.person] : undefined;
      const bars = tile.querySelector(".bars");
      bars.hidden = !found;
      if (!found) continue;
      bars.dataset.score = found.score;
      const label = `${SCORES[found.score] ?? ""}; loss ${percent(Math.max(found.loss_in ?? 0, found.loss_out ?? 0))}`;
      bars.setAttribute("aria-label", label);
      bars.title = label;
    }
  }

  /** How many pixels high somebody's picture is shown; 0 for one that nobody sees. */
  height(key) {
    return (this.tiles.get(key)?.querySelector("video").clientHeight ?? 0) * devicePixelRatio;
  }

  talking(ids) {
    for (const tile of this.tiles.values()) {
      if (tile.dataset.content === "camera") tile.dataset.talking = ids.has(tile.dataset.person);
    }
  }

  #room() {
    const { clientWidth: width, clientHeight: height } = $("stage-and-grid");
    const across = Math.max(1, Math.floor((width + GAP) / (LEAST_WIDTH + GAP)));
    const down = Math.max(1, Math.floor((height + GAP) / (LEAST_WIDTH / SHAPE + GAP)));
    return Math.min(across * down, MOST_TILES);
  }

  /** As many columns as make the tiles largest. */
  #measure() {
    const grid = $("grid");
    const count = grid.children.length;
    if (!count || $("stage-and-grid").classList.contains("staged")) return;
    const { clientWidth: width, clientHeight: height } = grid;
    let best = 0;
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const wide = Math.min((width - GAP * (columns - 1)) / columns, ((height - GAP * (rows - 1)) / rows) * SHAPE);
      best = Math.max(best, wide);
    }
    grid.style.setProperty("--width", `${Math.floor(best)}px`);
    grid.style.setProperty("--height", `${Math.floor(best / SHAPE)}px`);
  }
}

/** Show the video from its next picture on: the last one of whoever was there before is not theirs. */
function reveal(tile, video, stream) {
  const see = () => {
    if (video.srcObject === stream) tile.dataset.picture = "on";
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(see);
  else video.addEventListener("timeupdate", see, { once: true });
}

function describe(name, person, slides, picture) {
  if (slides) return name;
  const facts = [name, picture ? "" : "no picture", person.muted || !person.mic ? "muted" : "", person.hand != null ? "hand raised" : ""];
  return facts.filter(Boolean).join(", ");
}

/** So many of them: with a picture or talking before the others, in the order in which they came. */
function first(members, count) {
  const weight = ({ stream, own, person }) => (own ? 3 : stream ? 2 : person.talking || person.hand != null ? 1 : 0);
  const chosen = new Set([...members].sort((a, b) => weight(b) - weight(a)).slice(0, count));
  return members.filter((each) => chosen.has(each));
}

function set(dataset, values) {
  for (const [key, value] of Object.entries(values)) if (dataset[key] !== String(value)) dataset[key] = value;
}

function text(element, wanted) {
  if (element.textContent !== wanted) element.textContent = wanted;
}
