// @ts-check
/** A sound to look at: its loudness over time, its words below, and where it plays. */

const PEAKS_A_SECOND = 500;
const LEAST_PX_A_SECOND = 140; // so that a word has room for its letters
const SAMPLE_RATE = 16_000;

/** @typedef {{duration: number, peaks: Float32Array}} Outline seconds, and the loudest of each 2 ms in [0, 1] */

/** @type {Promise<unknown>} */
let decoding = Promise.resolve();

/**
 * A sound from its bytes. One is decoded after the other: an hour takes 230 MB meanwhile.
 *
 * @param {ArrayBuffer} bytes
 * @returns {Promise<Outline>}
 */
export function outline(bytes) {
  const decoded = decoding.then(() => outlined(bytes));
  decoding = decoded.catch(() => {});
  return decoded;
}

/** @param {ArrayBuffer} bytes @returns {Promise<Outline>} */
async function outlined(bytes) {
  const decoded = await new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(bytes);
  const samples = decoded.getChannelData(0);
  const step = decoded.sampleRate / PEAKS_A_SECOND;
  const peaks = new Float32Array(Math.ceil(samples.length / step));
  for (let row = 0, place = 0; row < peaks.length; row++) {
    let most = 0; // a loop that does little: an hour has 57.6 million samples
    for (const end = Math.min(samples.length, (row + 1) * step); place < end; place++) {
      const sample = Math.abs(samples[place]);
      if (sample > most) most = sample;
    }
    peaks[row] = most;
  }
  const loudest = peaks.reduce((most, peak) => Math.max(most, peak), 1e-4);
  return { duration: decoded.duration, peaks: peaks.map((peak) => peak / loudest) };
}

/** Draws the part of the outline that is in sight, and tells where a pointer is on it. */
export class Wave {
  /** @type {Outline} */
  #outline = { duration: 1, peaks: new Float32Array(0) };
  #width = 1;
  /** @type {{from: number, to: number} | null} the stretch that is marked */
  #span = null;

  /**
   * @param {HTMLElement} frame scrolls from side to side
   * @param {(from: number, to: number) => void} marked a stretch was marked, or a moment where both are one
   */
  constructor(frame, marked) {
    this.frame = frame;
    this.track = /** @type {HTMLElement} */ (frame.querySelector(".track"));
    this.canvas = /** @type {HTMLCanvasElement} */ (frame.querySelector("canvas"));
    this.head = /** @type {HTMLElement} */ (frame.querySelector(".head"));
    this.stretch = /** @type {HTMLElement} */ (frame.querySelector(".stretch"));
    frame.addEventListener("scroll", () => this.#draw());
    new ResizeObserver(() => this.#measure()).observe(frame);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    this.#listen(marked);
  }

  /** @param {Outline} outline */
  show(outline) {
    this.#outline = outline;
    this.frame.scrollLeft = 0;
    this.mark(null);
    this.at(0);
    this.#measure();
  }

  /** Puts an element where a span is, as shares of the whole. @param {HTMLElement} element @param {number} from @param {number} to */
  place(element, from, to) {
    element.style.left = `${(100 * from) / this.#outline.duration}%`;
    element.style.width = `${(100 * (to - from)) / this.#outline.duration}%`;
  }

  /** @param {{from: number, to: number} | null} span */
  mark(span) {
    this.#span = span;
    this.#showStretch(span);
  }

  /** @param {{from: number, to: number} | null} span */
  #showStretch(span) {
    this.stretch.hidden = !span;
    if (span) this.place(this.stretch, span.from, span.to);
  }

  /** Shows where the sound is, and keeps it in sight. @param {number} time */
  at(time) {
    const x = (time / this.#outline.duration) * this.#width;
    this.head.style.transform = `translateX(${x}px)`;
    const { scrollLeft, clientWidth } = this.frame;
    if (x < scrollLeft || x > scrollLeft + clientWidth) this.frame.scrollLeft = x - clientWidth / 8;
  }

  #measure() {
    this.#width = Math.max(this.frame.clientWidth, LEAST_PX_A_SECOND * this.#outline.duration);
    this.track.style.width = `${this.#width}px`;
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, scrollLeft } = this.frame;
    const height = this.canvas.clientHeight;
    const pixels = devicePixelRatio;
    this.canvas.width = width * pixels;
    this.canvas.height = height * pixels;
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    pen.scale(pixels, pixels);
    pen.fillStyle = getComputedStyle(this.canvas).color;
    for (let x = 0; x < width; x += 3) {
      const half = Math.max(0.5, 0.46 * height * this.#peak(scrollLeft + x, scrollLeft + x + 3));
      pen.fillRect(x, height / 2 - half, 2, 2 * half);
    }
  }

  /** The loudest between two pixels of the whole. @param {number} from @param {number} to */
  #peak(from, to) {
    const { peaks } = this.#outline;
    const scale = peaks.length / this.#width;
    let most = 0;
    for (let row = Math.floor(from * scale); row < Math.max(to * scale, from * scale + 1); row++)
      most = Math.max(most, peaks[row] ?? 0);
    return most;
  }

  /** @param {(from: number, to: number) => void} marked */
  #listen(marked) {
    const area = this.canvas;
    const time = (/** @type {PointerEvent} */ event) => {
      const x = event.clientX - this.track.getBoundingClientRect().left;
      return Math.max(0, Math.min(1, x / this.#width)) * this.#outline.duration;
    };
    let begun = 0;
    area.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays with the text
    area.addEventListener("pointerdown", (event) => {
      area.setPointerCapture(event.pointerId);
      begun = time(event);
    });
    area.addEventListener("pointermove", (event) => {
      if (area.hasPointerCapture(event.pointerId)) this.#showStretch(ordered(begun, time(event)));
    });
    area.addEventListener("pointercancel", () => this.#showStretch(this.#span)); // the finger scrolls
    area.addEventListener("pointerup", (event) => {
      const { from, to } = ordered(begun, time(event));
      const far = ((to - from) / this.#outline.duration) * this.#width > 4; // pixels: less is a click
      if (far) this.mark({ from, to });
      marked(from, far ? to : from);
    });
  }
}

/** @param {number} one @param {number} other */
const ordered = (one, other) => ({ from: Math.min(one, other), to: Math.max(one, other) });
