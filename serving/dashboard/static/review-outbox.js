// @ts-check
/**
 * Corrections, and words that an item is unfit, on their way. Each is kept in the browser before it is sent, and until
 * the service has it: closing the page, a lost network or a restarted server lose nothing. Sending one twice is harmless:
 * it carries its time, and the service counts the same one once.
 *
 * What the service refuses for good (a lease that is over) is kept too, for the person to decide.
 */

import { Failure, call } from "./review-api.js";
import { keep, kept, keysOf, taken } from "./review-shelf.js";

const PREFIX = "prelabel.outbox.";
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 60_000;

/**
 * @typedef {object} Letter
 * @property {string} id
 * @property {string} itemId
 * @property {"correction" | "unfit"} [kind] without it, a correction
 * @property {Record<string, unknown>} body
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

  /** @param {() => void} changed told whenever there is something new to say */
  constructor(changed) {
    this.changed = changed;
    /** @type {Failure | null} why the last attempt did not pass */
    this.trouble = null;
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

  /** @param {string} itemId @param {"correction" | "unfit"} kind @param {Record<string, unknown>} body */
  add(itemId, kind, body) {
    this.#keep({ id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, itemId, kind, body });
    return this.send();
  }

  /** Sends a refused one without its lease: then the service always takes it, and the newest counts. @param {Letter} letter */
  insist(letter) {
    this.#keep({ ...letter, refused: undefined, body: { ...letter.body, lease_id: null } });
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

  async #sendAll() {
    try {
      this.trouble = await this.#sendEach();
      if (this.trouble) this.#timer = window.setTimeout(() => this.send(), this.#wait);
      this.#wait = this.trouble ? Math.min(LONGEST_WAIT_MS, 2 * this.#wait) : FIRST_WAIT_MS;
    } finally {
      this.changed();
    }
  }

  /** What the service fails at waits, and what follows it on its item. @returns {Promise<Failure | null>} what did not pass */
  async #sendEach() {
    const stuck = new Set();
    const first = () => this.waiting.find(({ itemId }) => !stuck.has(itemId));
    let trouble = null;
    for (let letter = first(); letter && (!trouble || trouble.isInside); letter = first()) {
      const failure = await this.#sendOne(letter);
      if (failure) stuck.add(letter.itemId);
      trouble = failure ?? trouble;
    }
    return trouble;
  }

  /** @param {Letter} letter @returns {Promise<Failure | null>} why it did not pass, but may later */
  async #sendOne(letter) {
    try {
      await call("POST", `/v1/items/${encodeURIComponent(letter.itemId)}/${letter.kind ?? "correction"}`, letter.body);
      this.discard(letter);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.passes) return error;
      this.#keep({ ...letter, refused: { status: error.status, message: error.message } });
    }
    return null;
  }

  /** @param {Letter} letter */
  #keep(letter) {
    if (keep(PREFIX + letter.id, letter)) this.#unkept.delete(letter.id);
    else this.#unkept.set(letter.id, letter); // the page asks before it is closed
  }
}

/** @returns {Letter[]} what this page, earlier ones and other tabs left, oldest first */
function stored() {
  const letters = keysOf(PREFIX).map((key) => kept(key)).filter(Boolean);
  return letters.sort((one, other) => String(one.body.created_at).localeCompare(String(other.body.created_at)));
}
