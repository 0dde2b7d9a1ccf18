// @ts-check
/**
 * Where items come from: a few are leased ahead of the person, and their media fetched, so that nobody waits.
 *
 * A page that is closed puts down what it holds, drafts included, and the next one in this browser takes it up.
 */

import { call } from "./review-api.js";
import { keep, kept, taken } from "./review-shelf.js";

const AHEAD = 3;
const HELD = "prelabel.held.";
const PAGE = `${Date.now()}-${Math.random()}`; // of all in this browser

/**
 * @typedef {object} Item as the queue hands it out
 * @property {string} item_id
 * @property {string} uri
 * @property {any} label
 * @property {string} model_version
 * @property {{p_error: number, seconds: number, score: number}} uncertainty
 * @property {{decision: string, reason: string, otherwise?: string | null, parts: {accepted: number[], shown: number[], asked: boolean} | null}} route
 * @property {string | null} lease_id
 * @property {string | null} expires_at
 *
 * @typedef {object} Work an item on the table
 * @property {Item} item
 * @property {Promise<any>} media what the editor prepared
 * @property {any} [draft] the label as the person left it, or as people said it before
 * @property {boolean} [touched] whether the person changed something: then it is kept, lease or not
 * @property {number} seconds spent so far
 * @property {string} [page] that put it down
 * @property {string} [instead] what was not sent of it before, which this replaces
 * @property {string} [given] the label that was sent, as JSON, or "unfit", so that another one mends it
 */

/** Leases ahead, and takes care that nothing held is forgotten. */
export class Supply {
  /** @type {Work[]} */
  #ready = [];
  /** @type {Promise<void> | null} */
  #asking = null;
  /** @type {string[] | null} the items that were put down and not taken up again */
  #down = null;

  /**
   * @param {string} task
   * @param {string} annotator
   * @param {(item: Item) => Promise<any>} prepare fetches a medium
   * @param {() => unknown} settle sends what did not pass: the queue might hand it out once more
   */
  constructor(task, annotator, prepare, settle) {
    this.task = task;
    this.annotator = annotator;
    this.prepare = prepare;
    this.settle = settle;
    this.#ready = this.#takeUp();
  }

  /** @returns {Promise<Work | null>} the next item; null while nothing is open */
  async next() {
    this.#ready = this.#ready.filter(({ item, touched }) => touched || !isOver(item));
    if (!this.#ready.length) await this.#ask();
    const work = this.#ready.shift() ?? null;
    if (this.#ready.length < AHEAD && work) this.#ask().catch(() => {}); // `next` asks again, and tells
    return work;
  }

  /** Gives an item back to others. @param {Work} work */
  async release(work) {
    if (work.item.lease_id) await call("DELETE", `/v1/leases/${work.item.lease_id}`);
  }

  /** Lets an item be the next one. @param {Work} work */
  putBack(work) {
    this.#ready.unshift(work);
  }

  /** An item that is held, which then is no longer among the next ones. @param {string} itemId @returns {Work | null} */
  take(itemId) {
    const found = this.#ready.find(({ item, touched }) => item.item_id === itemId && (touched || !isOver(item)));
    this.#ready = this.#ready.filter(({ item }) => item.item_id !== itemId);
    return found ?? null;
  }

  /** Leaves everything that is held, and what is on the table, for the next page. @param {Work | null} current */
  putDown(current) {
    const held = [...(current ? [current] : []), ...this.#ready].filter(({ item, touched }) => item.lease_id || touched);
    const ours = held.map(({ item, draft, seconds, touched, given, instead }) => ({ item, draft, seconds, touched, given, instead, page: PAGE }));
    const ids = ours.map(({ item }) => item.item_id);
    this.#down = keep(this.#key, [...ours, ...this.#shelf(ids)]) ? ids : null; // another tab may have put down its own
  }

  /** Takes up again what was put down here. @returns {boolean} false where another page has taken it up meanwhile */
  takeBack() {
    const ids = this.#down;
    this.#down = null;
    if (!ids) return true;
    const ours = this.#shelf().filter(({ item, page }) => page === PAGE && ids.includes(item.item_id));
    if (ours.length < ids.length) return false; // even where that page has put it down again
    keep(this.#key, this.#shelf(ids));
    return true;
  }

  /** What lies there for the next page, but for some items. @param {string[]} [without] @returns {Work[]} */
  #shelf(without = []) {
    return kept(this.#key, []).filter((/** @type {Work} */ one) => !without.includes(one.item.item_id));
  }

  /** @param {Item} item @returns {Work} */
  work(item) {
    const media = this.prepare(item);
    media.catch(() => {}); // told when it is shown
    return { item, media, seconds: 0 };
  }

  get #key() {
    return `${HELD}${this.task}.${this.annotator}`;
  }

  /** @returns {Work[]} */
  #takeUp() {
    const held = taken(this.#key) ?? [];
    return held.map((/** @type {Work} */ one) => ({ ...one, ...this.work(one.item), seconds: one.seconds }));
  }

  #ask() {
    this.#asking ??= this.#lease().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #lease() {
    await this.settle();
    const query = new URLSearchParams({ annotator: this.annotator, limit: String(AHEAD + 1 - this.#ready.length) });
    const { items } = await call("GET", `/v1/queue/${this.task}?${query}`);
    this.#ready.push(...items.map((/** @type {Item} */ item) => this.work(item)));
  }
}

/** Whether its lease has ended. @param {Item} item */
const isOver = (item) => !!item.expires_at && Date.parse(item.expires_at) <= Date.now();

/**
 * One particular item out of its history, as the queue would hand it out but without a lease. What people said last
 * of it is its draft.
 *
 * @param {any} history as `GET /v1/items/{id}` tells it
 * @param {string} task
 * @returns {{item: Item, draft: any}}
 */
export function itemOf(history, task) {
  const newest = (/** @type {any[]} */ lines) => lines.filter((line) => line.task === task && !line.withdrawn_at).at(-1);
  const version = newest(history.tasks)?.version;
  const said = history.preannotations.find((/** @type {any} */ one) => one.task === task && one.version === version);
  const item = {
    item_id: history.item.id,
    uri: history.item.uri,
    label: said?.label ?? null,
    model_version: version ?? null,
    uncertainty: { p_error: said?.p_error ?? 1, seconds: said?.seconds ?? 0, score: said?.score ?? 1 },
    route: { decision: said?.decision ?? "annotate", reason: said?.reason ?? "", parts: said?.parts ?? null },
    lease_id: null,
    expires_at: null,
  };
  return { item, draft: newest(history.corrections)?.label };
}
