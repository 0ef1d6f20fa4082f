// How the connections are: four small plots over the last minutes, and a table of now.

import { $ } from "./page.js";
import { choices } from "./chat.js";
import { percent } from "./words.js";

const KEPT = 150;
/** Colours that differ in light and dark, and in the common kinds of colour blindness. */
const COLOURS = ["#0072b2", "#e07b00", "#009e73", "#cc79a7", "#7a6fd0", "#a8870b", "#56a5d8", "#d1495b"];

const whole = (value) => String(Math.round(value));
const PLOTS = [
  { id: "loss", title: "Loss", unit: "%", least: 2, read: (q) => 100 * Math.max(q.loss_in ?? 0, q.loss_out ?? 0), write: (v) => v.toFixed(1) },
  { id: "jitter", title: "Jitter", unit: "ms", least: 10, read: (q) => q.jitter_ms ?? 0, write: whole },
  { id: "rtt", title: "Round trip", unit: "ms", least: 20, read: (q) => q.rtt_ms ?? 0, write: whole },
  { id: "rate", title: "Bit rate", unit: "kbit/s", least: 100, read: (q) => (q.kbps_in ?? 0) + (q.kbps_out ?? 0), write: whole },
];

export class Plots {
  constructor() {
    this.history = new Map();
    this.colours = new Map();
    for (const plot of PLOTS) $("plots").append(frame(plot));
    $("plot-person").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe($("plots"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** What the server measured just now. */
  add(people, roster) {
    this.roster = roster;
    for (const id of Object.keys(people)) {
      if (!this.history.has(id)) this.history.set(id, []);
      if (!this.colours.has(id)) this.colours.set(id, COLOURS[this.colours.size % COLOURS.length]);
    }
    for (const [id, points] of this.history) {
      points.push(people[id] ?? null);
      if (points.length > KEPT) points.shift();
      if (points.every((point) => point === null)) this.history.delete(id);
    }
    choices($("plot-person"), roster.everybody);
    this.#table(people);
    this.draw();
  }

  #table(people) {
    const rows = this.roster.everybody.filter((person) => people[person.id]).map((person) => {
      const q = people[person.id];
      const row = document.createElement("tr");
      const who = document.createElement("th");
      const swatch = document.createElement("span");
      who.scope = "row";
      swatch.className = "swatch";
      swatch.style.setProperty("--swatch", this.colours.get(person.id));
      who.append(swatch, person.name);
      row.append(who);
      const known = (value, write) => (value === null || value === undefined ? "–" : write(value));
      const cells = [
        `${known(q.loss_in, percent)} / ${known(q.loss_out, percent)}`,
        known(q.jitter_ms, whole),
        known(q.rtt_ms, whole),
        `${known(q.kbps_in, whole)} / ${known(q.kbps_out, whole)}`,
      ];
      for (const text of cells) row.insertCell().textContent = text;
      return row;
    });
    $("quality").tBodies[0].replaceChildren(...rows);
  }

  draw() {
    if (!$("plots").clientWidth || !this.roster) return;
    const chosen = $("plot-person").value;
    const shown = [...this.history].filter(([id]) => !chosen || id === chosen);
    for (const plot of PLOTS) {
      const element = $(`plot-${plot.id}`);
      const lines = shown.map(([id, points]) => ({ colour: this.colours.get(id), values: points.map((q) => (q ? plot.read(q) : null)) }));
      const top = ceiling(Math.max(plot.least, ...lines.flatMap(({ values }) => values)));
      const latest = Math.max(0, ...lines.map(({ values }) => values.at(-1) ?? 0));
      element.querySelector("span").textContent = `${chosen || lines.length < 2 ? "" : "now at most "}${plot.write(latest)} ${plot.unit}`;
      const canvas = element.querySelector("canvas");
      canvas.setAttribute("aria-label", `${plot.title}: ${plot.write(latest)} ${plot.unit} now`);
      paint(canvas, lines, top, `${whole(top)} ${plot.unit}`);
    }
  }

  forget() {
    this.history.clear();
    this.colours.clear();
  }
}

function frame({ id, title }) {
  const box = document.createElement("div");
  box.className = "plot";
  box.id = `plot-${id}`;
  const heading = document.createElement("h3");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  heading.append(title, document.createElement("span"));
  box.append(heading, canvas);
  return box;
}

/** The next of 1, 2, 5, 10, ... */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}

function paint(canvas, lines, top, label) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  const colours = getComputedStyle(document.documentElement);
  pen.scale(scale, scale);
  pen.strokeStyle = colours.getPropertyValue("--line");
  for (const part of [0.5, 1]) {
    pen.beginPath();
    pen.moveTo(0, Math.round(height * (1 - part * 0.84)) + 0.5);
    pen.lineTo(width, Math.round(height * (1 - part * 0.84)) + 0.5);
    pen.stroke();
  }
  pen.fillStyle = colours.getPropertyValue("--soft");
  pen.font = "11px system-ui, sans-serif";
  pen.fillText(label, 5, 11);
  pen.lineWidth = 1.8;
  pen.lineJoin = "round";
  for (const { colour, values } of lines) {
    pen.strokeStyle = colour;
    pen.beginPath();
    values.forEach((value, position) => {
      const x = width - (values.length - 1 - position) * (width / (KEPT - 1)) - 1;
      const y = height - 2 - ((value ?? 0) / top) * (height * 0.84 - 2);
      if (value === null || position === 0 || values[position - 1] === null) pen.moveTo(x, y);
      else pen.lineTo(x, y);
    });
    pen.stroke();
  }
}
