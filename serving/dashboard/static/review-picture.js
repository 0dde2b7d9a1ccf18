// @ts-check
/** What the editors of boxes and of lines share: the picture, one chosen shape, steps, and the list of what is drawn. */

import { mediumOf } from "./review-api.js";
import { announce, element, fill, question, reveal, say, wire } from "./review-page.js";
import { Steps } from "./review-steps.js";
import { View } from "./review-view.js";

/**
 * @typedef {import("./review-supply.js").Item} Item
 * @typedef {import("./review-supply.js").Work} Work
 * @typedef {import("./review-shapes.js").Point} Point
 *
 * @typedef {object} Drawn a shape on the picture
 * @property {number} id
 * @property {number} confidence of the model, in [0, 1]; 1 where a person drew it
 * @property {boolean} [accepted] a promise lets nobody look at it, and nobody touched it
 * @property {boolean} [doubtful] it needs a look
 */

const DOUBTFUL = 0.7; // below this confidence a shape is marked where no promise says which are to be looked at
const ZOOM = 1.3;
const PAN_PX = 60;

let ids = 0;

/** A number for a new shape, that no other has. */
export const newId = () => ++ids;

/** @template {Drawn} S */
export class PictureEditor {
  /** @type {Steps<S[]>} */
  steps = new Steps(/** @type {S[]} */ ([]));
  /** @type {number | null} the shape that is chosen */
  chosen = null;
  /** @type {Item | null} */
  item = null;
  #offersModel = false; // whether the person begins from nothing, and the model did not

  constructor() {
    this.view = new View(element("stage"), {
      down: (point, target, event) => this.down(point, target, event),
      move: (point) => this.move(point),
      up: () => this.up(),
      cancel: () => this.cancel(),
    }, () => this.render());
    const acts = { undo: () => this.turn("undo"), redo: () => this.turn("redo"), new: () => this.begin(),
      delete: () => this.remove(), larger: () => this.view.zoom(ZOOM), smaller: () => this.view.zoom(1 / ZOOM),
      fit: () => this.view.fit(), model: () => this.#takeDrawn() };
    wire(acts, this.view.stage);
  }

  /** @param {Item} item @returns {Promise<HTMLImageElement>} */
  async prepare(item) {
    const image = new Image();
    image.alt = "";
    image.draggable = false;
    image.src = URL.createObjectURL(await mediumOf(item.item_id)); // of half a file some browsers show half a picture
    await image.decode().finally(() => URL.revokeObjectURL(image.src));
    return image;
  }

  /** @param {Work} work @param {HTMLImageElement} image */
  show({ item, draft }, image) {
    const size = item.label ?? { width: image.naturalWidth, height: image.naturalHeight };
    const fresh = item.route.decision === "annotate" || !item.label;
    this.item = item;
    this.steps = new Steps(this.#begun(draft, fresh));
    this.chosen = null;
    this.view.show(image, { width: size.width, height: size.height });
    element("asked").textContent = question(item.route.parts);
    this.view.stage.classList.remove("bare");
    this.view.stage.focus({ preventScroll: true });
    this.#offersModel = fresh && !!item.label && this.read(item.label, null).length > 0;
    this.render();
    return say("{n} drawn, {doubtful} doubtful", { n: this.steps.now.length, doubtful: this.#doubtful().length });
  }

  /** What lies on the picture at first. @param {any} draft @param {boolean} fresh whether the person begins from nothing */
  #begun(draft, fresh) {
    if (draft?.shapes) return draft.shapes.map((/** @type {S} */ shape) => ({ ...shape, id: newId() }));
    if (draft) return this.read(draft, null);
    return fresh ? [] : this.read(this.item?.label, this.item?.route.parts ?? null);
  }

  /** Takes what the model drew as a start, where the person begins from nothing. */
  #takeDrawn() {
    if (!this.item?.label || this.steps.now.length) return;
    this.steps.take(this.read(this.item.label, null));
    this.render();
  }

  hide() {
    this.cancel();
  }

  draft() {
    return { shapes: this.settled() };
  }

  /** @returns {any} */
  label() {
    return { ...this.view.size, ...this.write(this.settled()) };
  }

  /** @param {string} key @param {KeyboardEvent} event */
  press(key, event) {
    if (/^(Shift\+)?Tab$/.test(key)) return event.target === this.view.stage && this.#tab(key === "Tab" ? 1 : -1);
    const acts = this.#keys();
    const act = acts[key] ?? this.keys()[key];
    act?.();
    return !!act || (key === " " && event.target === this.view.stage);
  }

  /** @returns {Record<string, () => void>} */
  #keys() {
    return {
      "Ctrl+Z": () => this.turn("undo"),
      "Ctrl+Shift+Z": () => this.turn("redo"),
      "Ctrl+Y": () => this.turn("redo"),
      Delete: () => this.remove(),
      Backspace: () => this.remove(),
      Escape: () => (this.cancel(), this.choose(null)),
      N: () => this.begin(),
      M: () => this.#takeDrawn(),
      H: () => this.view.stage.classList.toggle("bare"),
      "+": () => this.view.zoom(ZOOM),
      "=": () => this.view.zoom(ZOOM),
      "-": () => this.view.zoom(1 / ZOOM),
      0: () => this.view.fit(),
      ...arrows((dx, dy) => this.#arrow(dx, dy)),
    };
  }

  /** @param {number} dx @param {number} dy */
  #arrow(dx, dy) {
    if (this.chosen === null) this.view.pan(-Math.sign(dx) * PAN_PX, -Math.sign(dy) * PAN_PX);
    else this.nudge(dx, dy);
  }

  /** The shape that is chosen. @returns {S | undefined} */
  get shape() {
    return this.steps.now.find((shape) => shape.id === this.chosen);
  }

  /** Puts a shape in place of the chosen one. @param {Partial<S>} change */
  change(change) {
    this.steps.take(this.changed(change));
    this.render();
  }

  /** All shapes, the chosen one changed; who touches a shape vouches for it. @param {Partial<S>} change */
  changed(change) {
    return this.steps.now.map((shape) =>
      shape.id === this.chosen ? { ...shape, ...change, accepted: false, doubtful: false } : shape);
  }

  /** Adds a shape, and chooses it. @param {S} shape */
  add(shape) {
    this.steps.take([...this.steps.now, shape]);
    this.choose(shape.id);
  }

  remove() {
    if (!this.shape) return;
    const order = this.order();
    const next = order[order.indexOf(this.shape) + 1] ?? null;
    this.steps.take(this.steps.now.filter((shape) => shape.id !== this.chosen));
    this.choose(next?.id ?? null);
  }

  /** @param {number | null} id */
  choose(id) {
    this.chosen = id;
    this.render();
    if (!this.shape) return;
    announce(this.tell(this.shape));
    const part = element("parts").querySelector("[aria-pressed=true]");
    if (part) reveal(element("parts"), part);
  }

  /** The next shape in the order of doubt; past the last one the focus goes on. @param {number} step */
  #tab(step) {
    const order = this.order();
    const place = this.shape ? order.indexOf(this.shape) : step > 0 ? -1 : order.length;
    const next = order[place + step];
    this.choose(next?.id ?? null);
    if (next) this.view.reveal(this.middle(next));
    return !!next;
  }

  /** What is to be looked at, the least certain first. @returns {S[]} */
  order() {
    const seen = this.steps.now.filter((shape) => !shape.accepted || shape.id === this.chosen);
    return seen.sort((one, other) => one.confidence - other.confidence);
  }

  #doubtful() {
    return this.steps.now.filter((shape) => shape.doubtful);
  }

  /** @param {"undo" | "redo"} way */
  turn(way) {
    if (!this.steps[way]()) return announce(say("Nothing to undo or do again."));
    this.turned();
  }

  /** After a step back or ahead. */
  turned() {
    this.cancel();
    this.render();
  }

  /** Draws everything anew: shapes, and the list beside the picture. */
  render() {
    const held = document.activeElement;
    const beside = held?.closest("#editor");
    this.view.draw(this.shapes());
    fill(element("parts"), this.order().map((shape) => this.#part(shape)));
    /** @type {HTMLButtonElement} */ (element("delete")).disabled = !this.shape;
    element("model").hidden = !this.#offersModel || this.steps.now.length > 0;
    const lost = document.activeElement === document.body || held?.matches(":disabled, [hidden]");
    if (beside && lost) this.view.stage.focus({ preventScroll: true });
  }

  /** @param {S} shape */
  #part(shape) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = this.name(shape);
    button.style.setProperty("--hue", String(this.hue(shape)));
    button.classList.toggle("doubtful", !!shape.doubtful);
    button.setAttribute("aria-pressed", String(shape.id === this.chosen));
    button.addEventListener("click", () => {
      this.choose(shape.id);
      this.view.stage.focus({ preventScroll: true });
    });
    const line = document.createElement("li");
    line.append(button);
    return line;
  }

  /** What a shape is, and how it stands, as names of classes. @param {S} shape @param {string} kind */
  classes({ id, doubtful, accepted }, kind) {
    return [kind, doubtful && "doubtful", accepted && "accepted", id === this.chosen && "chosen"].filter(Boolean).join(" ");
  }

  // -- what each kind of shape does in its own way

  /** The shapes of a label. @param {any} label @param {Item["route"]["parts"]} parts @returns {S[]} */
  read(label, parts) {
    throw new Error("not here");
  }

  /** The shapes as a part of a label. @param {S[]} shapes @returns {any} */
  write(shapes) {
    throw new Error("not here");
  }

  /** @returns {SVGElement[]} */
  shapes() {
    return [];
  }

  /** Keys of this kind alone. @returns {Record<string, () => void>} */
  keys() {
    return {};
  }

  /** @param {number} dx pixels of the picture @param {number} dy */
  nudge(dx, dy) {}

  /** Begins a new shape. */
  begin() {}

  /** @param {Point} point @param {Element} target @param {PointerEvent} event */
  down(point, target, event) {}

  /** @param {Point} point */
  move(point) {}

  up() {}

  cancel() {}

  /** The shapes, with what a hand is about to do as if it were done: Enter may be faster. @returns {S[]} */
  settled() {
    return this.steps.now;
  }

  /** Its name in the list. @param {S} shape @returns {string} */
  name(shape) {
    return "";
  }

  /** What a screen reader says of it. @param {S} shape @returns {string} */
  tell(shape) {
    return this.name(shape);
  }

  /** @param {S} shape @returns {Point} */
  middle(shape) {
    return [0, 0];
  }

  /** @param {S} shape degrees */
  hue(shape) {
    return 0;
  }
}

/**
 * What a promise or its confidence says of a part.
 *
 * @param {number} confidence
 * @param {number} row
 * @param {Item["route"]["parts"]} parts
 */
export function standing(confidence, row, parts) {
  return parts
    ? { accepted: parts.accepted.includes(row), doubtful: parts.shown.includes(row) }
    : { accepted: false, doubtful: confidence < DOUBTFUL };
}

/**
 * The four arrows, behind some modifiers; with Shift ten times as far.
 *
 * @param {(dx: number, dy: number) => void} act
 * @param {string} [held]
 * @returns {Record<string, () => void>}
 */
export function arrows(act, held = "") {
  const ways = { Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] };
  const keys = Object.entries(ways).flatMap(([way, [dx, dy]]) => [
    [`${held}Arrow${way}`, () => act(dx, dy)],
    [`${held}Shift+Arrow${way}`, () => act(10 * dx, 10 * dy)],
  ]);
  return Object.fromEntries(keys);
}
