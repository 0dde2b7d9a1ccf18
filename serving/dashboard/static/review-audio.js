// @ts-check
/** The editor of transcripts: hear it, look at its words in time, and put its text right. */

import { mediumOf } from "./review-api.js";
import { Marks } from "./review-marks.js";
import { element, fill, question, say, wire } from "./review-page.js";
import { Player } from "./review-player.js";
import { keep, kept } from "./review-shelf.js";
import { Wave, outline } from "./review-wave.js";
import { align, doubts, places, transcript } from "./review-words.js";

/**
 * @typedef {import("./review-supply.js").Item} Item
 * @typedef {import("./review-supply.js").Work} Work
 * @typedef {import("./review-words.js").Word} Word
 * @typedef {{address: string, outline: import("./review-wave.js").Outline}} Sound
 */

const STEP_S = 2;
const BY_ITSELF = "prelabel.plays-by-itself";

export class AudioEditor {
  /** @type {Item | null} */
  #item = null;
  /** @type {Word[]} that the model heard */
  #words = [];
  /** @type {boolean[]} */
  #doubts = [];
  /** @type {HTMLButtonElement[]} one a word, under the wave */
  #chips = [];
  #word = -1; // the one that is chosen
  #now = -1; // the one that sounds
  /** @type {number[]} of each typed word the heard one that it is, or -1 */
  #aligned = [];
  #address = "";
  #offersHeard = false; // whether the person begins from nothing, and the model did not

  /** @param {import("./review-clock.js").ActiveTime} clock */
  constructor(clock) {
    this.text = /** @type {HTMLTextAreaElement} */ (element("text"));
    this.player = new Player({
      at: (time) => this.#at(time),
      playing: (playing) => this.#playing(clock, playing),
      round: () => clock.setPlaying(false), // a loop counts once, then keys and pointer do
    });
    this.marks = new Marks(element("marks"));
    this.wave = new Wave(element("wave"), (from, to) => this.#marked(from, to));
    this.text.addEventListener("input", () => this.#mark());
    this.text.addEventListener("scroll", () => (element("marks").scrollTop = this.text.scrollTop));
    this.#connect();
  }

  #connect() {
    const acts = { play: () => this.player.toggle(), loop: () => this.#loop(), slower: () => this.#rate(-1),
      faster: () => this.#rate(1), heard: () => this.#takeHeard() };
    wire(acts, this.text);
    const byItself = /** @type {HTMLInputElement} */ (element("by-itself"));
    byItself.checked = kept(BY_ITSELF, true);
    byItself.addEventListener("change", () => keep(BY_ITSELF, byItself.checked));
  }

  /** @param {Item} item @returns {Promise<Sound>} */
  async prepare(item) {
    const file = await mediumOf(item.item_id);
    return { address: URL.createObjectURL(file), outline: await outline(await file.arrayBuffer()) };
  }

  /** @param {Work} work @param {Sound} sound */
  show({ item, draft }, sound) {
    const fresh = item.route.decision === "annotate" || !item.label;
    this.#item = item;
    this.#address = sound.address;
    this.#words = item.label?.words ?? [];
    this.#doubts = doubts(this.#words, item.route.parts);
    this.#word = this.#now = -1;
    this.wave.show(sound.outline);
    this.player.load(sound.address, sound.outline.duration);
    this.#showWords();
    this.#offersHeard = fresh && !!item.label?.text;
    element("asked").textContent = question(item.route.parts);
    this.#put(draft?.text ?? (fresh ? "" : item.label.text));
    this.text.focus({ preventScroll: true });
    this.text.setSelectionRange(this.text.value.length, this.text.value.length);
    if (/** @type {HTMLInputElement} */ (element("by-itself")).checked) this.player.play(0);
    return this.text.value || say("nothing heard");
  }

  hide() {
    this.player.unload();
    URL.revokeObjectURL(this.#address);
    this.#item = null;
  }

  draft() {
    return { text: this.text.value };
  }

  label() {
    return transcript(this.text.value, this.#words, this.#item?.route.parts ?? null);
  }

  /** @param {string} key */
  press(key) {
    const acts = {
      Escape: () => this.player.toggle(),
      "Ctrl+ ": () => this.player.toggle(),
      "Alt+ArrowLeft": () => this.#choose(this.#word < 0 ? this.#caret() : this.#word - 1),
      "Alt+ArrowRight": () => this.#choose(this.#word < 0 ? this.#caret() : this.#word + 1),
      "Alt+ArrowUp": () => this.#nextDoubt(-1),
      "Alt+ArrowDown": () => this.#nextDoubt(1),
      "Alt+J": () => this.#jump(-STEP_S),
      "Alt+K": () => this.#jump(STEP_S),
      "Alt+L": () => this.#loop(),
      "Alt+,": () => this.#rate(-1),
      "Alt+.": () => this.#rate(1),
      "Alt+M": () => this.#takeHeard(),
    };
    const act = acts[/** @type {keyof typeof acts} */ (key)];
    act?.();
    return !!act;
  }

  #showWords() {
    this.#chips = this.#words.map((word, row) => this.#chip(word, row));
    fill(element("words"), this.#chips);
    if (this.#chips[0]) this.#chips[0].tabIndex = 0;
  }

  /** @param {Word} word @param {number} row */
  #chip(word, row) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.dir = "auto";
    chip.tabIndex = -1; // one of them at a time can be reached by Tab, the others by arrows
    chip.textContent = word.text;
    chip.title = `${word.text} · ${word.confidence.toFixed(2)} · ${word.start_s.toFixed(2)}–${word.end_s.toFixed(2)} s`;
    chip.classList.toggle("doubtful", this.#doubts[row]);
    this.wave.place(chip, word.start_s, word.end_s);
    chip.addEventListener("click", () => this.#choose(row));
    chip.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.altKey) return;
      event.preventDefault();
      this.#choose(row + step, true);
    });
    return chip;
  }

  /** Plays a word and marks it in the text, so that typing replaces it. @param {number} row @param {boolean} [stay] with the chips */
  #choose(row, stay = false) {
    const word = this.#words[row];
    if (!word) return;
    const before = this.#chips.find((chip) => chip.tabIndex === 0);
    if (before) before.tabIndex = -1;
    this.#chips[row].tabIndex = 0;
    this.#chips[this.#word]?.classList.remove("chosen");
    this.#chips[row].classList.add("chosen");
    this.#word = row;
    this.wave.mark({ from: word.start_s, to: word.end_s });
    this.player.play(word.start_s, word.end_s);
    const typed = places(this.text.value)[this.#aligned.indexOf(row)];
    if (typed) this.text.setSelectionRange(typed.from, typed.to);
    if (stay) this.#chips[row].focus();
    else this.text.focus();
  }

  /** The word in which the caret stands, or the first. */
  #caret() {
    const caret = this.text.selectionStart;
    const place = places(this.text.value).findIndex(({ to }) => caret <= to);
    return Math.max(0, this.#aligned[place] ?? -1);
  }

  /** @param {number} step */
  #nextDoubt(step) {
    let row = this.#word < 0 && step < 0 ? this.#words.length : this.#word;
    do row += step;
    while (this.#words[row] && !this.#doubts[row]);
    this.#choose(row);
  }

  /** @param {string} text in place of what is there, which nothing undoes */
  #put(text) {
    this.text.value = text;
    this.#mark();
  }

  /** Draws the marks beneath the text anew: it is another. */
  #mark() {
    const text = this.text.value;
    element("heard").hidden = !this.#offersHeard || text !== "";
    this.#aligned = align(this.#words.map((word) => word.text), places(text).map((place) => place.text));
    this.marks.show(text);
    this.#dress();
  }

  /** Marks what is doubtful, and what sounds now. */
  #dress() {
    this.marks.dress((place) => {
      const row = this.#aligned[place];
      return [this.#doubts[row] && "doubtful", row >= 0 && row === this.#now && "now"].filter(Boolean).join(" ");
    });
  }

  /** @param {number} time */
  #at(time) {
    this.wave.at(time);
    const row = this.player.isPlaying ? this.#words.findIndex((word) => word.start_s <= time && time < word.end_s) : -1;
    if (row === this.#now) return;
    this.#chips[this.#now]?.classList.remove("now");
    this.#chips[row]?.classList.add("now");
    this.#now = row;
    this.#dress();
  }

  /** @param {number} from @param {number} to */
  #marked(from, to) {
    this.#chips[this.#word]?.classList.remove("chosen");
    this.#word = -1;
    if (to > from) return this.player.play(from, to);
    this.wave.mark(null);
    this.player.seek(from);
  }

  /** @param {import("./review-clock.js").ActiveTime} clock @param {boolean} playing */
  #playing(clock, playing) {
    clock.setPlaying(playing);
    element("play").classList.toggle("playing", playing);
    element("play").setAttribute("aria-pressed", String(playing));
  }

  /** @param {number} seconds */
  #jump(seconds) {
    const time = Math.max(0, Math.min(this.player.duration ?? 0, this.player.time + seconds));
    if (this.player.isPlaying) this.player.play(time);
    else this.player.seek(time);
  }

  #loop() {
    this.player.isLooping = !this.player.isLooping;
    element("loop").setAttribute("aria-pressed", String(this.player.isLooping));
  }

  /** @param {number} step */
  #rate(step) {
    this.player.change(step);
    element("rate").textContent = `${this.player.rate} ×`;
  }

  /** Takes what the model heard as a start, where the person begins from nothing; the browser can undo what it inserts. */
  #takeHeard() {
    if (!this.#item?.label || this.text.value) return;
    this.text.focus();
    if (!document.execCommand("insertText", false, this.#item.label.text)) this.#put(this.#item.label.text);
    this.text.setSelectionRange(0, 0); // what is typed then is a step of its own
    this.text.setSelectionRange(this.text.value.length, this.text.value.length);
  }
}
