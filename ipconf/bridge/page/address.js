// Where we are: the room is the path, the invitation is the fragment.

import { $, show } from "./page.js";

const ROOM = /^[a-z0-9_-]{1,64}$/;

/** The room that the path names; "" for none, null for a name that cannot be one. */
export function roomName() {
  const path = decodeURIComponentOr(location.pathname.replace(/^\/+|\/+$/g, "")).toLowerCase();
  return path === "" ? "" : ROOM.test(path) ? path : null;
}

function decodeURIComponentOr(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The invitation, taken out of the address so that it is not in the history or on shown screens.
 *
 * It is kept for this tab, so that loading the page again works; it goes to nobody but the server.
 */
export function takeToken(room) {
  const key = `ipconf.token.${room}`;
  const token = location.hash.slice(1);
  try {
    if (token) sessionStorage.setItem(key, token);
    if (token) history.replaceState(null, "", location.pathname + location.search);
    return token || sessionStorage.getItem(key) || "";
  } catch {
    return token;
  }
}

export const inviteLink = (room, token) => `${location.origin}/${room}${token ? `#${token}` : ""}`;

/** The screen at /: ask for a room and go there. */
export function askForRoom(problem = "") {
  show("ask");
  if (problem) $("ask-hint").textContent = problem;
  $("ask-room").focus();
  $("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`/${$("ask-room").value.trim().toLowerCase()}`);
  });
}
