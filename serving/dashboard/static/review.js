// @ts-check
/**
 * The page at /review/{task}: one item after the other is shown, put right, and sent.
 *
 * An editor for the task shows an item and gives its label; everything around it is here: whose turn it is, what Enter
 * does, how long it took, and what became of the corrections.
 */

import { Failure, call } from "./review-api.js";
import { AudioEditor } from "./review-audio.js";
import { BoxEditor } from "./review-boxes.js";
import { ActiveTime, watch } from "./review-clock.js";
import { acts, chord, composes, writes } from "./review-keys.js";
import { LaneEditor } from "./review-lanes.js";
import { Outbox } from "./review-outbox.js";
import { announce, away, element, nameOf, say, tellReason } from "./review-page.js";
import { keep, kept } from "./review-shelf.js";
import { Supply, itemOf } from "./review-supply.js";
import { tellOutbox } from "./review-unsent.js";

/**
 * @typedef {import("./review-supply.js").Work} Work
 * @typedef {import("./review-supply.js").Item} Item
 *
 * @typedef {object} Editor
 * @property {(item: Item) => Promise<any>} prepare fetches a medium
 * @property {(work: Work, media: any) => string} show shows an item, and says what is to be seen
 * @property {() => void} hide lets go of it
 * @property {() => any} draft the label as it stands, to be taken up again
 * @property {() => any} label the label to be sent
 * @property {(key: string, event: KeyboardEvent) => boolean} press whether the key meant something
 */

/** @type {Record<string, new (clock: ActiveTime, categories: {name: string, hue: number}[]) => Editor>} */
const EDITORS = { asr: AudioEditor, detection: BoxEditor, lane: LaneEditor };
const MEND = 30; // items of this session that can be called back
const LOOK_AGAIN_MS = 15_000;
const UNFIT = "unfit"; // in place of the label that was given

class Review {
  /** @type {Work | null} */
  #work = null;
  /** @type {Work[]} */
  #done = [];
  #busy = true;
  #state = "loading";
  #again = 0;
  #shown = ""; // the draft as it was when the item was shown
  #isGone = false;
  /** @type {() => Promise<Work | null>} what was asked for last */
  #next = () => this.supply.next();

  /** @param {{task: string, annotator: string, item_id: string | null, categories: any[]}} about */
  constructor(about) {
    this.about = about;
    this.clock = new ActiveTime(() => performance.now());
    this.editor = new EDITORS[about.task](this.clock, about.categories);
    this.outbox = new Outbox(() => tellOutbox(this.outbox));
    this.supply = new Supply(about.task, about.annotator, this.editor.prepare, () => this.outbox.settle());
    this.tally = new Tally(`prelabel.tally.${about.task}`);
  }

  start() {
    watch(this.clock);
    document.addEventListener("keydown", (event) => this.#key(event));
    const buttons = { send: () => this.send(), skip: () => this.skip(), back: () => this.back(), unfit: () => this.askUnfit(), help };
    for (const [name, act] of Object.entries(buttons)) element(name).addEventListener("click", act);
    onUnfit((reason, words) => this.unfit(reason, words));
    window.addEventListener("pagehide", () => this.#putDown());
    window.addEventListener("pageshow", () => this.#comeBack());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#putDown() : this.#comeBack()));
    window.setInterval(() => this.#tellTime(), 500);
    this.outbox.send();
    return this.#go(() => (this.about.item_id ? this.#thatItem(this.about.item_id) : this.supply.next()));
  }

  /** Sends the label as it stands, and goes on; where there is none, looks again. */
  send() {
    if (this.#busy) return;
    const work = this.#leave();
    if (!work || this.#state !== "work") return this.#go(work ? async () => this.#anew(work) : this.#next);
    const label = this.editor.label();
    const given = JSON.stringify(label);
    const posted = given === work.given ? null
      : this.#post(work, "correction", { label, model_version: work.item.model_version });
    return this.#goOn(work, given, posted);
  }

  /** Asks why the item cannot be labelled. */
  askUnfit() {
    if (!this.#busy && this.#work) unfitDialog().showModal();
  }

  /** Leaves the item out, for a reason. @param {string} reason @param {string} words */
  unfit(reason, words) {
    const work = this.#leave();
    if (this.#busy || !work) return;
    const posted = this.#post(work, "unfit", { reason });
    return this.#goOn(work, UNFIT, posted, say("Left out: {reason}.", { reason: words }));
  }

  /** @param {Work} work @param {string} given @param {Promise<void> | null} posted @param {string} [told] */
  #goOn(work, given, posted, told = "") {
    this.tally.add(work.given ? 0 : 1, work.seconds);
    this.#remember({ ...work, given, seconds: 0, instead: undefined });
    return this.#go(async () => {
      if (!work.item.lease_id) await posted; // or the queue would hand out the very same item
      return this.supply.next();
    }, told);
  }

  /** @param {Work} work @param {"correction" | "unfit"} kind @param {Record<string, unknown>} what */
  #post(work, kind, what) {
    const body = {
      ...what,
      task: this.about.task,
      annotator: this.about.annotator,
      seconds: work.seconds,
      tool: "prelabel",
      created_at: new Date().toISOString(),
      lease_id: work.item.lease_id,
    };
    return this.outbox.add({ itemId: work.item.item_id, name: nameOf(work.item), kind, body }, work.instead);
  }

  /** @param {Work} work that is done */
  #remember(work) {
    this.#done = [...this.#done, work].slice(-MEND);
    history.replaceState(null, "", `/review/${this.about.task}`); // a reload shows no item that is done
  }

  /** Gives the item back to others; one that was called back stays as it was given. */
  skip() {
    const work = this.#leave();
    if (this.#busy || !work) return;
    this.tally.add(0, work.seconds);
    this.#remember({ ...work, seconds: 0 }); // should it have been a slip
    if (!work.given) this.supply.release(work).catch(() => {}); // its lease ends by itself anyway
    return this.#go(() => this.supply.next());
  }

  /** The item before this one again, to mend a slip; this one comes back after it. */
  back() {
    if (this.#busy) return;
    const before = this.#done.at(-1);
    if (!before) return announce(say("There is no item before this one."));
    this.#done = this.#done.slice(0, -1);
    const current = this.#leave();
    if (current) this.supply.putBack(this.#anew(current));
    return this.#go(async () => this.#anew(before));
  }

  /** The item as it lies on the table. @returns {Work | null} */
  #leave() {
    if (!this.#work || this.#state !== "work") return this.#work;
    const draft = this.editor.draft();
    const changed = JSON.stringify(draft) === this.#shown ? {} : { draft, touched: true };
    return { ...this.#work, ...changed, seconds: this.clock.seconds };
  }

  /** Nobody knows whether a page that is out of sight is ever seen again: what it holds is kept meanwhile. */
  #putDown() {
    if (!this.supply.takeBack()) this.#isGone = true; // another page has taken up what was put down before
    if (!this.#isGone) this.supply.putDown(this.#leave());
  }

  #comeBack() {
    if (!this.supply.takeBack()) this.#isGone = true;
    if (this.#isGone) location.reload();
  }

  /** The same with its medium fetched again. @param {Work} work @returns {Work} */
  #anew(work) {
    return { ...work, media: this.supply.work(work.item).media };
  }

  /** Shows what `next` brings. @param {() => Promise<Work | null>} next @param {string} [told] of the item before */
  async #go(next, told = "") {
    this.#next = next;
    this.#busy = true;
    this.#work = null;
    this.#state = "loading";
    window.clearTimeout(this.#again);
    this.editor.hide();
    const late = window.setTimeout(() => this.#stand("loading"), 150);
    try {
      const work = await next();
      if (work) await this.#show(work, told);
      else this.#nothing();
    } catch (error) {
      this.#tellTrouble(error);
    } finally {
      window.clearTimeout(late);
      this.#busy = false;
      this.#tellTime();
    }
  }

  /** @param {Work} work @param {string} told */
  async #show(work, told) {
    this.#work = work; // a medium that cannot be read can still be skipped
    const media = await work.media;
    this.#stand("work");
    tellRoute(work.item);
    const seen = this.editor.show(work, media);
    this.#shown = JSON.stringify(this.editor.draft());
    this.clock.start(work.seconds);
    announce(`${told} ${work.given ? say("Again:") : say("Next:")} ${seen}`.trim());
  }

  #nothing() {
    this.#stand("empty");
    announce(element("empty").textContent ?? "");
    this.#lookAgain(() => this.supply.next());
  }

  /** Why there is nothing to work on. An item can still be skipped, or left out. @param {unknown} error */
  #tellTrouble(error) {
    const work = this.#work;
    const passes = error instanceof Failure && error.passes;
    const told = error instanceof Failure ? error.message : work ? say("this browser cannot read it.") : String(error);
    const why = passes ? away(error) : told;
    if (work) tellRoute(work.item);
    this.#stand(work ? "trouble" : "away", passes ? `${why} ${say("Enter asks again; by itself it happens every 15 seconds.")}` : why);
    announce(why);
    if (error instanceof Failure && error.status === 401) element("sign-in").hidden = false;
    if (passes) this.#lookAgain(work ? async () => this.#anew(work) : this.#next);
  }

  /** @param {() => Promise<Work | null>} next */
  #lookAgain(next) {
    const look = () => (document.querySelector("dialog[open]") ? this.#lookAgain(next) : this.#go(next));
    this.#again = window.setTimeout(look, LOOK_AGAIN_MS);
  }

  /** One that is not sent yet is as it was sent. @param {string} itemId @returns {Promise<Work>} */
  async #thatItem(itemId) {
    const held = this.supply.take(itemId);
    if (held?.touched) return held;
    const unsent = this.outbox.of(itemId, this.about);
    if (held && !unsent) return held;
    const { item, draft } = itemOf(await call("GET", `/v1/items/${encodeURIComponent(itemId)}`), this.about.task);
    return { ...(held ?? this.supply.work(item)), draft: unsent?.body.label ?? draft, touched: !!unsent, instead: unsent?.id };
  }

  /** Which part of the page is there. @param {"loading" | "work" | "empty" | "trouble" | "away"} state */
  #stand(state, why = "") {
    this.#state = element("desk").dataset.state = state;
    tellReason(element("why"), why);
    const working = state === "work";
    for (const name of ["send", "skip", "unfit"]) /** @type {HTMLButtonElement} */ (element(name)).disabled = state === "loading";
    element("editor").toggleAttribute("inert", !working);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (composes(event) || document.querySelector("dialog[open]")) return;
    const key = chord(event);
    const shown = this.#state === "work" && !this.#busy;
    const handled = (shown && this.editor.press(key, event)) || this.#press(key, event);
    if (handled) event.preventDefault();
  }

  /** @param {string} key @param {KeyboardEvent} event */
  #press(key, event) {
    const held = event.repeat; // one that is held a little long means one item
    const plain = !writes(event.target); // keys write no text here
    const means = (/** @type {string} */ letter) => key === `Alt+${letter}` || (plain && this.about.task !== "asr" && key === letter);
    if (key === "Enter" && !acts(event.target)) return held || (this.send(), true);
    if (means("S")) return held || (this.skip(), true);
    if (means("B")) return held || (this.back(), true);
    if (means("U")) return this.askUnfit(), true;
    if (key === "F1" || (plain && key === "?")) return help(), true;
    return /^Alt\+(Shift\+)?Arrow/.test(key); // or a browser leaves the page, while the next item is on its way
  }

  #tellTime() {
    const { items, seconds } = this.tally;
    const now = this.#work ? this.clock.seconds : 0;
    const all = seconds + now;
    element("items").textContent = String(items);
    element("pace").textContent = items ? String(Math.round((3600 * items) / seconds)) : "–";
    element("spent").textContent = minutes(all);
    element("now").textContent = say("{n} s", { n: now.toFixed(0) });
    element("now").classList.toggle("counts", !!this.#work && this.clock.counts);
  }
}

/** How many items, and how many seconds, in this tab; a reload keeps them. */
class Tally {
  /** @param {string} key */
  constructor(key) {
    const before = kept(key, { items: 0, seconds: 0 }, () => sessionStorage);
    this.key = key;
    this.items = Number(before.items);
    this.seconds = Number(before.seconds);
  }

  /** @param {number} items @param {number} seconds */
  add(items, seconds) {
    this.items += items;
    this.seconds += seconds;
    keep(this.key, { items: this.items, seconds: this.seconds }, () => sessionStorage);
  }
}

/** Why this item came to a person. @param {Item} item */
function tellRoute(item) {
  const { route, item_id, uncertainty } = item;
  const badge = element("route");
  badge.textContent = say(route.decision);
  badge.className = `badge ${route.decision}`;
  tellReason(element("reason"), route.reason);
  tellReason(element("reason"), route.otherwise ?? "", "title");
  const name = /** @type {HTMLAnchorElement} */ (element("name"));
  name.textContent = nameOf(item);
  name.href = `/items/${item_id}`;
  element("p-error").textContent = uncertainty.p_error.toFixed(2);
}

const unfitDialog = () => /** @type {HTMLDialogElement} */ (element("unfit-dialog"));

/** What the list of reasons does: a click, or the digit that stands before one. @param {(reason: string, words: string) => void} act */
function onUnfit(act) {
  const dialog = unfitDialog();
  const reasons = /** @type {HTMLButtonElement[]} */ ([...dialog.querySelectorAll(".reasons button")]);
  const choose = (/** @type {HTMLButtonElement} */ chosen) => {
    dialog.close();
    act(chosen.value, chosen.lastChild?.textContent?.trim() ?? "");
  };
  for (const one of reasons) one.addEventListener("click", () => choose(one));
  dialog.addEventListener("keydown", (event) => {
    const chosen = reasons[Number(chord(event)) - 1];
    if (!chosen || event.repeat) return;
    event.preventDefault();
    choose(chosen);
  });
}

function help() {
  /** @type {HTMLDialogElement} */ (element("help-dialog")).showModal();
}

/** @param {number} seconds */
function minutes(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

new Review(JSON.parse(element("about").textContent ?? "")).start();
