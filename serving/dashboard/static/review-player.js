// @ts-check
/** Plays a sound: all of it or a span, once or again and again, slower or faster at the same pitch. */

const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** @typedef {{from: number, to: number}} Span in seconds */

export class Player {
  #sound = new Audio();
  /** @type {Span | null} what is played, where it is not the rest of the sound */
  #span = null;
  #frame = 0;
  isLooping = false;

  /**
   * @param {object} tell
   * @param {(time: number) => void} tell.at where it is, in seconds
   * @param {(playing: boolean) => void} tell.playing whether it plays
   * @param {() => void} tell.round a loop begins again
   */
  constructor(tell) {
    this.tell = tell;
    this.#sound.preload = "auto";
    this.#sound.addEventListener("play", () => this.#started());
    this.#sound.addEventListener("pause", () => this.#stopped());
    this.#sound.addEventListener("ended", () => this.#ended());
  }

  /** @param {string} address of the sound @param {number} duration in seconds */
  load(address, duration) {
    this.duration = duration;
    this.#span = null;
    this.#sound.src = address;
    this.#sound.playbackRate = this.rate;
  }

  get rate() {
    return this.#sound.defaultPlaybackRate;
  }

  get time() {
    return this.#sound.currentTime;
  }

  get isPlaying() {
    return !this.#sound.paused;
  }

  /** The next slower (-1) or faster (1) rate. @param {number} step */
  change(step) {
    const place = Math.max(0, Math.min(RATES.length - 1, RATES.indexOf(this.rate) + step));
    this.#sound.defaultPlaybackRate = this.#sound.playbackRate = RATES[place];
  }

  /** Plays a span, or all from a moment on. @param {number} from @param {number} [to] */
  play(from, to) {
    this.#span = to === undefined ? null : { from, to };
    this.#sound.currentTime = from;
    this.#begin();
  }

  /** Stops, or goes on to the end; at the end it begins again. */
  toggle() {
    if (this.isPlaying) return this.#sound.pause();
    if (!this.isLooping) this.#span = null;
    if (this.time >= (this.duration ?? 0) - 0.02) this.#sound.currentTime = 0;
    this.#begin();
  }

  /** Lets go of the sound, so that nothing asks for its address any more. */
  unload() {
    this.#sound.pause();
    this.#sound.removeAttribute("src");
    this.#sound.load();
  }

  /** @param {number} time */
  seek(time) {
    this.#span = null;
    this.#sound.currentTime = time;
    this.tell.at(time);
  }

  #begin() {
    this.#sound.play().catch(() => {}); // a browser may forbid sound before the first key; the person presses one
  }

  #started() {
    this.tell.playing(true);
    cancelAnimationFrame(this.#frame);
    this.#follow();
  }

  #follow() {
    this.tell.at(this.time);
    if (this.#span && this.time >= this.#span.to) this.#again(this.#span.from) || this.#sound.pause();
    if (this.isPlaying) this.#frame = requestAnimationFrame(() => this.#follow());
  }

  #stopped() {
    this.tell.at(this.time);
    this.tell.playing(false);
  }

  #ended() {
    if (this.#again(this.#span?.from ?? 0)) this.#begin();
  }

  /** Back to the beginning, where it loops. @param {number} from */
  #again(from) {
    if (!this.isLooping) return false;
    this.#sound.currentTime = from;
    this.tell.round();
    return true;
  }
}
