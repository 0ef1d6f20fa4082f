// What people write: shown as text and nothing but text, links apart.

import { $, announce, copyOf } from "./page.js";
import { play } from "./sounds.js";

const MOST_MESSAGES = 500;
const LINK = /(https?:\/\/[^\s<>"']{1,500}[^\s<>"'.,;:!?)\]])/u;

export class Chat {
  constructor({ send, visible }) {
    this.visible = visible;
    this.unread = 0;
    this.seen = new Set();
    $("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = $("chat-text").value.trim();
      const to = $("chat-to").value;
      if (!text) return;
      if (send({ type: "say", text, ...(to ? { to } : {}) })) $("chat-text").value = "";
    });
    $("chat-text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      $("chat-form").requestSubmit();
    });
  }

  /** Somebody wrote. `history`: it was before we came, or we have it already. */
  said(message, roster, history) {
    // After a resumed connection the server tells the last messages again.
    const mark = JSON.stringify([message.from, message.name, message.at, message.text, message.to]);
    if (this.seen.has(mark)) return;
    this.seen.add(mark);
    const own = message.from !== null && message.from === roster.me;
    const atEnd = $("messages").scrollHeight - $("messages").scrollTop - $("messages").clientHeight < 40;
    $("messages").append(line(message, roster, own));
    while ($("messages").children.length > MOST_MESSAGES) $("messages").firstChild.remove();
    $("no-messages").hidden = true;
    if (atEnd || own) $("messages").scrollTop = $("messages").scrollHeight;
    if (own || history) return;
    play("message");
    announce(`${message.name}${message.to ? " to you" : ""}: ${message.text.slice(0, 140)}`);
    if (!this.visible()) this.#count(this.unread + 1);
  }

  read() {
    this.#count(0);
    $("messages").scrollTop = $("messages").scrollHeight;
  }

  #count(unread) {
    this.unread = unread;
    $("unread").hidden = !unread;
    $("unread").textContent = unread > 99 ? "99+" : unread;
    $("chat").setAttribute("aria-label", unread ? `Chat, ${unread} new` : "Chat");
  }

  /** Whom one can write to. */
  people(roster) {
    choices($("chat-to"), roster.everybody.filter((person) => person.id !== roster.me));
  }

  writeTo(id) {
    $("chat-to").value = id;
    $("chat-text").focus();
  }

  /** Another meeting: what was written in this one is gone. */
  clear() {
    this.seen.clear();
    $("messages").replaceChildren();
    $("no-messages").hidden = false;
    this.#count(0);
  }
}

/** Fill a list with people behind its first entry, and keep who is chosen. */
export function choices(list, people) {
  const wanted = JSON.stringify(people.map((person) => [person.id, person.name]));
  if (list.dataset.people === wanted) return;
  list.dataset.people = wanted;
  const chosen = list.value;
  list.replaceChildren(list.options[0], ...people.map((person) => new Option(person.name, person.id)));
  list.value = people.some((person) => person.id === chosen) ? chosen : "";
}

function line(message, roster, own) {
  const item = copyOf("message-template");
  const to = message.to ? ` to ${message.to === roster.me ? "you" : roster.name(message.to)}` : "";
  item.querySelector("strong").textContent = `${own ? "You" : message.name}${to}`;
  item.classList.toggle("private", Boolean(message.to));
  const at = new Date(message.at * 1000);
  const time = item.querySelector("time");
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.querySelector(".text").append(...withLinks(message.text));
  return item;
}

/** The text in pieces; addresses of web pages become links that tell their page nothing of ours. */
function withLinks(text) {
  return text.split(LINK).map((piece, number) => {
    if (number % 2 === 0) return document.createTextNode(piece);
    const link = document.createElement("a");
    link.href = piece;
    link.textContent = piece;
    link.rel = "noopener noreferrer";
    link.target = "_blank";
    return link;
  });
}
