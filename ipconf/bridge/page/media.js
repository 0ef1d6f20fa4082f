// The RTCPeerConnection: sound both ways, camera and screen out, so many pictures in.

const CAMERA_LAYERS = [
  { rid: "l", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];
const SCREEN = [{ maxBitrate: 2_000_000 }];
/** An interruption shorter than this mends itself. */
const PATIENCE_S = 4;
const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 15;
const ANSWER_S = 12;

/** Keeps one peer connection with the server going; a lost one is replaced by a new one.
 *
 * `told.state(state)`: "connecting", "connected", "interrupted"; `told.sound(stream)`;
 * `told.pictures(streams)`: a map from mid to the stream of that section.
 */
export class Media {
  constructor(send, told) {
    this.send = send;
    this.told = told;
    this.sending = { sound: null, camera: null, screen: null };
    this.failures = 0;
    this.offers = 0;
    this.pc = this.before = null;
  }

  get working() { return this.pc?.connectionState === "connected"; }

  /** Make a new connection, in place of the one there was. */
  async start(iceServers = this.iceServers, slots = this.slots) {
    Object.assign(this, { iceServers, slots });
    this.#retire();
    this.told.state("connecting");
    const pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.pc = pc;
    this.#sections(pc);
    this.#watch(pc);
    const id = (this.offers += 1);
    this.waiting = [];
    await pc.setLocalDescription();
    if (pc !== this.pc) return;
    this.send({ type: "offer", sdp: markSlides(pc.localDescription.sdp, this.screen.mid), id });
    this.#hurry(ANSWER_S);
  }

  #sections(pc) {
    this.sound = pc.addTransceiver(this.sending.sound ?? "audio", { direction: "sendrecv" });
    this.camera = pc.addTransceiver("video", { direction: "sendonly", sendEncodings: CAMERA_LAYERS });
    this.screen = pc.addTransceiver("video", { direction: "sendonly", sendEncodings: SCREEN });
    this.windows = Array.from({ length: this.slots }, () => pc.addTransceiver("video", { direction: "recvonly" }));
    this.camera.sender.replaceTrack(this.sending.camera);
    this.screen.sender.replaceTrack(this.sending.screen);
  }

  #watch(pc) {
    pc.onicecandidate = ({ candidate }) => {
      const message = { type: "candidate", candidate: candidate?.candidate ?? "", mid: candidate?.sdpMid ?? "0" };
      if (this.waiting) this.waiting.push(message);
      else this.send(message);
    };
    pc.onconnectionstatechange = () => {
      if (pc !== this.pc) return;
      if (pc.connectionState === "connected") this.#connected();
      else if (pc.connectionState === "failed") this.#again();
      else if (pc.connectionState === "disconnected") this.#hurry(PATIENCE_S, "interrupted");
    };
  }

  /** The server's answer; one to an earlier offer is passed over. */
  async answered({ sdp, id }) {
    const pc = this.pc;
    if (id !== this.offers || pc?.signalingState !== "have-local-offer") return;
    try {
      await pc.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      console.warn("The answer cannot be used:", error);
      return this.#again();
    }
    this.#drop(this.before);
    if (pc !== this.pc) return;
    // Candidates say not which offer they belong to: none is told before the server knows that offer.
    const early = this.waiting;
    this.waiting = null;
    for (const candidate of early) this.send(candidate);
    this.told.sound(new MediaStream([this.sound.receiver.track]));
    this.told.pictures(new Map(this.windows.map((each) => [each.mid, new MediaStream([each.receiver.track])])));
  }

  /** What is sent from now on; null for nothing. No new offer is needed for it. */
  use(sound, camera, screen) {
    const tracks = { sound, camera, screen };
    for (const [what, track] of Object.entries(tracks)) {
      if (this.sending[what] === track) continue;
      this.sending[what] = track;
      if (this.pc) this[what].sender.replaceTrack(track).catch((error) => console.warn(what, error));
    }
  }

  #connected() {
    clearTimeout(this.timer);
    this.failures = 0;
    this.told.state("connected");
  }

  /** Begin anew unless it works by then. */
  #hurry(seconds, state) {
    if (state) this.told.state(state);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#again(), seconds * 1000);
  }

  #again() {
    this.told.state("interrupted");
    const seconds = this.failures ? Math.min(FIRST_WAIT_S * 2 ** this.failures, LONGEST_WAIT_S) : 0;
    this.failures += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.start(), seconds * 1000);
  }

  /** The server does not take our offer: try again, but not at once. */
  refused() {
    this.failures += 1;
    this.#again();
  }

  /** Nothing goes on trying while there is no server to make an offer to. */
  rest() {
    clearTimeout(this.timer);
  }

  /** Keep what there was until the server has answered: to close it would be to leave. */
  #retire() {
    clearTimeout(this.timer);
    if (this.pc?.remoteDescription) {
      this.#drop(this.before);
      this.before = this.pc;
    } else this.#drop(this.pc);
    this.pc = null;
    if (this.before) this.before.onicecandidate = this.before.onconnectionstatechange = null;
  }

  #drop(pc) {
    if (!pc) return;
    pc.onicecandidate = pc.onconnectionstatechange = null;
    pc.close();
    if (pc === this.before) this.before = null;
  }

  close() {
    clearTimeout(this.timer);
    this.#drop(this.before);
    this.#drop(this.pc);
    this.pc = null;
  }
}

/** The offer's text with a=content:slides (RFC 4796) in the section of this mid. */
export function markSlides(sdp, mid) {
  const sections = sdp.split(/(?=^m=)/m);
  return sections.map((text) => (text.includes(`\r\na=mid:${mid}\r\n`) ? `${text}a=content:slides\r\n` : text)).join("");
}
