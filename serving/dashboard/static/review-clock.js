// @ts-check
/**
 * Active seconds: how long a person really works on an item.
 *
 * A moment counts while the page is visible and has the focus, and the person pressed a key or moved a pointer within
 * the last ten seconds, or a sound plays. Of a longer rest the first ten seconds count, as a look at a picture may need
 * them. What plays in a loop counts as one pass: a forgotten loop is no work.
 */

const IDLE_MS = 10_000;

/** A stopwatch that knows nothing of pages; its clock is handed in, so that a test can hold it. */
export class ActiveTime {
  #present = true;
  #playing = false;
  #total = 0;
  #counted; // everything before this moment is in the total, or does not count
  #idleFrom;

  /**
   * @param {() => number} now milliseconds of a clock that never goes back
   * @param {number} idle milliseconds after which a person who does nothing is away
   */
  constructor(now, idle = IDLE_MS) {
    this.now = now;
    this.idle = idle;
    this.#counted = now();
    this.#idleFrom = this.#counted + idle;
  }

  /** An item is shown, on which `seconds` were spent before. */
  start(seconds = 0) {
    this.act();
    this.#total = 1000 * seconds;
  }

  /** The person did something. */
  act() {
    this.#count();
    this.#idleFrom = this.#counted + this.idle;
  }

  /** @param {boolean} present whether the page is visible and has the focus; coming back is an act */
  setPresent(present) {
    this.#count();
    this.#present = present;
    if (present) this.act();
  }

  /** @param {boolean} playing whether a sound plays; its end is an act */
  setPlaying(playing) {
    if (playing === this.#playing) return;
    this.act();
    this.#playing = playing;
  }

  /** Whether time counts at this moment. */
  get counts() {
    return this.#present && (this.#playing || this.now() < this.#idleFrom);
  }

  /** The active seconds since `start`. */
  get seconds() {
    this.#count();
    return this.#total / 1000;
  }

  #count() {
    const now = this.now();
    const end = this.#playing ? now : Math.min(now, this.#idleFrom);
    if (this.#present) this.#total += Math.max(0, end - this.#counted);
    this.#counted = now;
  }
}

/**
 * Lets a clock follow what happens on the page.
 *
 * @param {ActiveTime} clock
 */
export function watch(clock) {
  for (const act of ["keydown", "pointerdown", "pointermove", "wheel", "input"])
    document.addEventListener(act, () => clock.act(), { capture: true, passive: true });
  const look = () => clock.setPresent(document.visibilityState === "visible" && document.hasFocus());
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", () => clock.setPresent(document.visibilityState === "visible"));
  window.addEventListener("blur", () => clock.setPresent(false));
  look();
}
