// Small things around the document: elements by id, what is remembered, what is announced.

export const $ = (id) => document.getElementById(id);

const SCREENS = ["ask", "join", "meeting", "ended"];

/** Show one of the screens, and put the focus on its heading so that it is read out. */
export function show(screen) {
  for (const name of SCREENS) $(name).hidden = name !== screen;
  document.body.dataset.screen = screen;
  $(screen).querySelector("h1[tabindex]")?.focus();
}

/** The first element of a template, copied. */
export const copyOf = (template) => $(template).content.firstElementChild.cloneNode(true);

export const setIcon = (element, icon) => element.querySelector("use").setAttribute("href", `#i-${icon}`);

/** What this browser remembers; where storage is forbidden it is forgotten with the page. */
const forgotten = new Map();

export function remember(key, value) {
  forgotten.set(key, String(value));
  try {
    localStorage.setItem(`ipconf.${key}`, String(value));
  } catch {
    // Storage is full or forbidden: the value lives as long as the page.
  }
}

export function recall(key, otherwise = "") {
  if (forgotten.has(key)) return forgotten.get(key);
  try {
    return localStorage.getItem(`ipconf.${key}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

const TOAST_MS = 4500;
const MOST_TOASTS = 4;
const MOST_LINES = 30;

/** Show a sentence for a while and have it read out when there is time. */
export function announce(text) {
  const line = document.createElement("p");
  line.textContent = text;
  $("live").append(line);
  while ($("live").children.length > MOST_LINES) $("live").firstChild.remove();
  toast(text);
}

/** Show a sentence for a while and have it read out at once. */
export function alarm(text) {
  $("alert").textContent = text;
  toast(text);
}

function toast(text) {
  const note = document.createElement("div");
  note.className = "toast";
  note.textContent = text;
  $("toasts").append(note);
  while ($("toasts").children.length > MOST_TOASTS) $("toasts").firstChild.remove();
  setTimeout(() => note.remove(), TOAST_MS);
}

/** Ask before something that cannot be undone; resolves to whether it shall be done. */
export function confirmed(text, yes) {
  const dialog = $("confirm");
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  $("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** At most two letters that stand for a name. */
export function initials(name) {
  const words = name.split(/[\s._-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => [...word].find((c) => /[\p{L}\p{N}]/u.test(c)));
  const chosen = letters.length > 1 ? [letters[0], letters.at(-1)] : letters;
  return chosen.join("").toLocaleUpperCase() || "?";
}

/** Which of eight colours a name has; the same everywhere. */
export function hue(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  return String(sum % 8);
}
