// What went wrong, in words. Codes are the server's; names are those of DOMException.

export const INSECURE =
  "This page did not come over a secure connection, so the browser gives it neither camera nor " +
  "microphone. Open it with https: whoever runs the server can start it with --tls-self-signed, or " +
  "with a certificate of their own. You can join all the same: you see and hear the others, and can write.";

const DEVICE_PROBLEMS = {
  NotAllowedError: (what) => `The browser does not allow this page to use your ${what}. Allow it with the ` +
    "sign next to the address, then choose it here again.",
  NotFoundError: (what) => `No ${what} was found.`,
  OverconstrainedError: (what) => `The chosen ${what} is not there any more.`,
  NotReadableError: (what) => `Your ${what} is there but does not start: perhaps another program uses it.`,
  AbortError: (what) => `Your ${what} did not start.`,
};

/** Why there is no camera or microphone: `what` is one of these words. */
export function deviceProblem(error, what) {
  const words = DEVICE_PROBLEMS[error.name];
  return words ? words(what) : `Your ${what} cannot be used (${error.name}).`;
}

export const WITHOUT_DEVICES = "You can join all the same: you see and hear the others, and can write.";

const REFUSALS = {
  "room-full": "The room is full.",
  locked: "The room is locked: a moderator has closed it to newcomers.",
  replaced: "You went on in another window.",
};

/** What the server said, in our words where we have them, else in its own. */
export function refusal(code, text = "") {
  if (/\bICE\b|DTLS/.test(text)) return `Sound and pictures do not get through: a firewall may be in the way. (${text})`;
  return REFUSALS[code] ?? sentence(text || "the server ended the connection");
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

const TITLES = { timeout: "The connection was lost", removed: "You were removed", ended: "The meeting has ended", replaced: "You are somewhere else" };

export const endTitle = (code) => TITLES[code] ?? "You cannot be in the room";

export const ROLES = { listener: "viewer", viewer: "viewer", speaker: "", guest: "", moderator: "moderator" };
export const KINDS = { page: "", whip: "sends only (WHIP)", whep: "watches (WHEP)", other: "" };

export const SCORES = ["no connection", "bad connection", "weak connection", "good connection", "very good connection"];

/** A share in per cent, as short as it is honest. */
export function percent(share) {
  const value = share * 100;
  return value === 0 ? "0 %" : value < 10 ? `${value.toFixed(1)} %` : `${Math.round(value)} %`;
}
