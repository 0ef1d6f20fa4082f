// What has changed in the room, read out: who came and went, hands, screens, what moderators did.

import { alarm, announce } from "./page.js";
import { play } from "./sounds.js";
import { ROLES } from "./words.js";

/** Tell what a roster has brought; `news` is what `Roster.take` returns. */
export function tellNews(news) {
  if (!news.first) tellOthers(news);
  if (news.recording !== null && (news.recording || !news.first)) announce(news.recording ? "This meeting is being recorded." : "The recording has ended.");
  if (news.locked !== null && !news.first) announce(news.locked ? "The room is locked." : "The room is open again.");
  const { before, now } = news.mine;
  if (before && now && before.muted !== now.muted) alarm(now.muted ? "A moderator has muted you." : "A moderator lets you be heard again.");
  if (before && now && before.role !== now.role) alarm(ROLES[now.role] === "viewer" ? "You can only watch from now on." : now.role === "moderator" ? "You are a moderator now." : "You can speak now.");
}

function tellOthers({ came, went, screens, hands }) {
  for (const person of came) announce(`${person.name} has come in.`);
  for (const person of went) announce(`${person.name} has left.`);
  if (came.length) play("come");
  else if (went.length) play("go");
  for (const person of screens) announce(`${person.name} shares a screen.`);
  for (const person of hands) announce(`${person.name} raises a hand.`);
  if (hands.length) play("hand");
}
