// @ts-check
/**
 * Corrections, and words that an item is unfit, on their way. Each is kept in the browser before it is sent, and until
 * the service has it: closing the page, a lost network or a restarted server lose nothing. Sending one twice is harmless:
 * it carries its time, and the service counts the same one once.
 *
 * What the service refuses for good (a lease that is over) is kept too, for the person to decide. What failed most often
 * goes last, so that nothing holds back what comes after it, whatever becomes of it on its way.
 */

import { Failure, call } from "./review-api.js";
import { keep, kept, keysOf, taken } from "./review-shelf.js";

const PREFIX = "prelabel.outbox.";
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 60_000;
const MOST_SECONDS = 86_400; // that the service takes

/**
 * @typedef {object} Letter
 * @property {string} id
 * @property {string} itemId
 * @property {string} [name] of the item, for people
 * @property {"correction" | "unfit"} [kind] without it, a correction
 * @property {Record<string, any>} body
 * @property {{status: number, message: string, isPage: boolean, times: number}} [failed] why it did not pass yet, and how often
 * @property {{status: number, message: string}} [refused] what the service said
 */

/** Sends letters one after the other, again and again until each has arrived or is refused; those of other tabs as well. */
export class Outbox {
  /** @type {Map<string, Letter>} what the browser does not keep */
  #unkept = new Map();
  /** @type {Promise<void> | null} */
  #sending = null;
  #wait = FIRST_WAIT_MS;
  #timer = 0;
  /** @type {string | undefined} the id of the one that is being sent: it may have arrived already */
  #onItsWay;

  /** @param {() => void} changed told whenever there is something new to say */
  constructor(changed) {
    this.changed = changed;
    window.addEventListener("online", () => this.send());
    window.addEventListener("storage", ({ key }) => key?.startsWith(PREFIX) && changed());
    window.addEventListener("beforeunload", (event) => {
      if (!this.isSafe && this.waiting.length) event.preventDefault();
    });
  }

  /** Whether the browser keeps all of them. */
  get isSafe() {
    return !this.#unkept.size;
  }

  /** @returns {Letter[]} */
  get #letters() {
    return [...new Map([...stored(), ...this.#unkept.values()].map((letter) => [letter.id, letter])).values()];
  }

  /** @returns {Letter[]} on their way */
  get waiting() {
    return this.#letters.filter((letter) => !letter.refused);
  }

  /** @returns {Letter[]} that the service does not take as they are */
  get refused() {
    return this.#letters.filter((letter) => letter.refused);
  }

  /** @returns {Failure | null} why something does not pass: what the page should say of it first */
  get trouble() {
    const failures = this.waiting.flatMap(({ failed }) => (failed ? [failureOf(failed)] : []));
    return failures.find((failure) => !failure.isInside) ?? failures[0] ?? null;
  }

  /**
   * What somebody's own of an item for a task is not sent, the newest.
   *
   * @param {string} itemId
   * @param {{task: string, annotator: string}} whose
   * @returns {Letter | undefined}
   */
  of(itemId, { task, annotator }) {
    return this.#letters.findLast(
      ({ itemId: id, body }) => id === itemId && body.task === task && body.annotator === annotator,
    );
  }

  /** @param {Omit<Letter, "id">} letter @param {string} [instead] the one that it replaces, whose seconds it tells as well, or follows, if that is being sent */
  add(letter, instead) {
    const before = this.#letters.find(({ id }) => id === instead && id !== this.#onItsWay);
    if (before) this.discard(before);
    const whole = letter.body.seconds + (before?.body.seconds ?? 0);
    const seconds = Math.min(MOST_SECONDS, Math.round(100 * whole) / 100);
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    this.#keep({ ...letter, id, body: { ...letter.body, seconds } });
    return this.send();
  }

  /** Sends a refused one without its lease: then the service always takes it, and the newest counts. @param {Letter} letter */
  insist(letter) {
    this.#keep({ ...letter, refused: undefined, failed: undefined, body: { ...letter.body, lease_id: null } });
    return this.send();
  }

  /** @param {Letter} letter */
  discard(letter) {
    this.#unkept.delete(letter.id);
    taken(PREFIX + letter.id);
    this.changed();
  }

  /** Sends what waits, now; done once it has arrived, or did not pass. */
  send() {
    window.clearTimeout(this.#timer);
    this.changed();
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** Sends what did not pass on its way; what something there failed at waits for its time, as it might take long. */
  async settle() {
    if (this.trouble && !this.trouble.isInside) await this.send();
  }

  async #sendAll() {
    try {
      const failure = await this.#sendEach();
      if (failure) this.#timer = window.setTimeout(() => this.send(), this.#wait);
      this.#wait = failure ? Math.min(LONGEST_WAIT_MS, 2 * this.#wait) : FIRST_WAIT_MS;
    } finally {
      this.changed();
    }
  }

  /** What the service fails at waits, and what follows it on its item. @returns {Promise<Failure | null>} what did not pass */
  async #sendEach() {
    /** @type {Set<string>} */
    const stuck = new Set();
    let trouble = null;
    for (let letter = this.#first(stuck); letter && (!trouble || trouble.isInside); letter = this.#first(stuck)) {
      const failure = await alone(letter, (one) => this.#sendOne(one));
      if (failure) stuck.add(letter.itemId);
      trouble = failure ?? trouble;
    }
    return trouble;
  }

  /** The oldest of an item, where it failed least often. @param {Set<string>} stuck items @returns {Letter | undefined} */
  #first(stuck) {
    const times = (/** @type {Letter} */ letter) => letter.failed?.times ?? 0;
    const oldest = this.waiting.filter(({ itemId }, place, all) => all.findIndex((one) => one.itemId === itemId) === place);
    return oldest.filter(({ itemId }) => !stuck.has(itemId)).sort((one, other) => times(one) - times(other))[0];
  }

  /** @param {Letter} letter @returns {Promise<Failure | null>} why it did not pass, but may later */
  async #sendOne(letter) {
    if (!this.#isThere(letter)) return null; // another tab has sent it, or thrown it away
    this.#onItsWay = letter.id;
    try {
      await call("POST", `/v1/items/${encodeURIComponent(letter.itemId)}/${letter.kind ?? "correction"}`, letter.body);
      this.discard(letter);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { status, message, isPage } = error;
      const times = 1 + (letter.failed?.times ?? 0);
      const told = error.passes ? { failed: { status, message, isPage, times } } : { refused: { status, message } };
      if (this.#isThere(letter)) this.#keep({ ...letter, ...told });
      if (error.passes) return error;
    } finally {
      this.#onItsWay = undefined;
    }
    return null;
  }

  /** @param {Letter} letter */
  #isThere(letter) {
    return this.#letters.some(({ id }) => id === letter.id);
  }

  /** @param {Letter} letter */
  #keep(letter) {
    if (keep(PREFIX + letter.id, letter)) this.#unkept.delete(letter.id);
    else this.#unkept.set(letter.id, letter); // the page asks before it is closed
  }
}

/** @param {NonNullable<Letter["failed"]>} failed */
export const failureOf = ({ status, message, isPage }) => new Failure(status, message, isPage);

/** @returns {Letter[]} what this page, earlier ones and other tabs left, oldest first */
function stored() {
  const letters = keysOf(PREFIX).map((key) => kept(key)).filter(Boolean);
  return letters.sort((one, other) => String(one.body.created_at).localeCompare(String(other.body.created_at)));
}

/**
 * Does something with a letter that no other tab does at the same time, where the browser lets tabs know of each other.
 *
 * @template T
 * @param {Letter} letter
 * @param {(letter: Letter) => Promise<T>} act
 * @returns {Promise<T>}
 */
function alone(letter, act) {
  return navigator.locks ? navigator.locks.request(PREFIX + letter.id, () => act(letter)) : act(letter);
}
