// How large pictures are shown, told to the server: of who sends several sizes, small ones will do.

const MEASURE_MS = 300;
/** Fewer lines than pixels look sharp enough; and small changes of windows change nothing. */
const ENOUGH = 0.75;
const STEP = 30;

export class Heights {
  /** `height(key)`: how many pixels high a tile's picture is; `tell(heights)`: whether they went out. */
  constructor(height, tell) {
    Object.assign(this, { height, tell, told: null });
  }

  /** The server knows nothing of them any more. */
  forget() {
    this.told = null;
  }

  /** Look at the pictures in these slots in a moment, and tell what has changed. */
  look(slots) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#tell(slots), MEASURE_MS);
  }

  #tell(slots) {
    const heights = slots.map(({ person, content }) => {
      const height = this.height(content === "slides" ? `${person}/slides` : person);
      return height && content !== "slides" ? Math.ceil((height * ENOUGH) / STEP) * STEP : null;
    });
    const text = heights.join();
    if (slots.length && text !== this.told && this.tell(heights)) this.told = text;
  }
}
