// The WebSocket: says hello, comes back after a loss, and tells in which state it is.

const VERSION = 1;
const SUBPROTOCOL = "ipconf.1";
const FIRST_WAIT_S = 0.5;
const LONGEST_WAIT_S = 15;
/** The server tells how good connections are every 2 s: so long without a word is a lost network. */
const SILENCE_S = 9;
const OPENING_S = 10;

/** States: "connecting", "welcome" (the welcome message), "lost" ({seconds} until the next attempt),
 *  "bye" (the bye message, or one like it). */
export class Connection {
  constructor({ room, token, name }, { state, message }) {
    this.greeting = { type: "hello", version: VERSION, room, name, ...(token ? { token } : {}) };
    this.told = { state, message };
    this.key = "";
    this.losses = 0;
    this.socket = null;
    this.over = false;
    this.retryNow = () => this.#open();
    addEventListener("online", this.retryNow);
    this.#open();
  }

  /** Whether there is a socket that has been welcomed. */
  get open() { return this.socket?.readyState === WebSocket.OPEN && this.welcomed; }

  /** Send a message, if there is somebody to send it to; returns whether there was. */
  send(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
    return this.open;
  }

  /** Try again now instead of at the end of the pause. */
  retry() {
    if (!this.open) this.#open();
  }

  /** Say good-bye and do not come back. */
  leave() {
    this.send({ type: "leave" });
    this.#stop();
  }

  #stop() {
    this.over = true;
    removeEventListener("online", this.retryNow);
    clearTimeout(this.timer);
    this.#letGo();
  }

  #open() {
    if (this.over || this.open) return;
    clearTimeout(this.timer);
    this.#letGo();
    this.told.state("connecting");
    const address = new URL("/ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, SUBPROTOCOL);
    this.socket = socket;
    this.welcomed = this.heartbeat = false;
    socket.onopen = () => socket.send(JSON.stringify({ ...this.greeting, ...(this.key ? { resume: this.key } : {}) }));
    socket.onmessage = (event) => this.#heard(event.data);
    socket.onclose = () => this.#lost();
    this.#expect(OPENING_S);
  }

  /** Somebody must say something within this time. */
  #expect(seconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#lost(), seconds * 1000);
  }

  #heard(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.type === "quality") this.heartbeat = true;
    if (this.heartbeat) this.#expect(SILENCE_S);
    if (message.type === "welcome") this.#welcomed(message);
    else if (message.type === "bye") this.#bye(message);
    else this.told.message(message);
  }

  #welcomed(message) {
    clearTimeout(this.timer);
    this.welcomed = true;
    this.losses = 0;
    this.key = message.key;
    this.told.state("welcome", message);
  }

  #bye(message) {
    // Who was never let in is told why, and decides; who was, is to come back.
    if (message.again && this.key) return this.#lost();
    this.#stop();
    this.told.state("bye", message);
  }

  #letGo() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #lost() {
    if (this.over) return;
    this.#letGo();
    const longest = Math.min(FIRST_WAIT_S * 2 ** this.losses, LONGEST_WAIT_S);
    this.losses += 1;
    // Everybody has lost a server that restarts: they shall not come back in one moment.
    const seconds = longest * (0.6 + 0.4 * Math.random());
    this.told.state("lost", { seconds, losses: this.losses });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#open(), seconds * 1000);
  }
}
