// @ts-check
/**
 * A picture in its frame: fitted, zoomed and moved about, with shapes over it in its own pixels.
 *
 * One pointer works on the shapes, two fingers zoom and move the picture, as do the wheel, the middle button and the
 * space bar with a drag.
 */

import { within } from "./review-shapes.js";

/**
 * @typedef {import("./review-shapes.js").Point} Point
 *
 * @typedef {object} Hand what one pointer does to the shapes, in pixels of the picture
 * @property {(point: Point, target: Element, event: PointerEvent) => void} down
 * @property {(point: Point) => void} move
 * @property {() => void} up
 * @property {() => void} cancel
 */

const MOST = 24; // screen pixels that a pixel of the picture may be wide
const MARGIN_PX = 12; // around the whole picture, so that its edges can be grasped
const SVG = "http://www.w3.org/2000/svg";

export class View {
  #scale = 1; // screen pixels a pixel of the picture
  #left = 0;
  #top = 0;
  #fitted = true;
  /** @type {Map<number, PointerEvent>} */
  #fingers = new Map();
  #panning = false;
  #space = false;
  size = { width: 1, height: 1 };

  /**
   * @param {HTMLElement} stage holds an <img> and an <svg>
   * @param {Hand} hand
   * @param {() => void} changed the scale is another
   */
  constructor(stage, hand, changed) {
    this.stage = stage;
    this.hand = hand;
    this.changed = changed;
    this.svg = /** @type {SVGSVGElement} */ (stage.querySelector("svg"));
    new ResizeObserver(() => (this.#fitted ? this.fit() : this.#place())).observe(stage);
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"])
      stage.addEventListener(end, (event) => this.#up(/** @type {PointerEvent} */ (event)));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => (this.#space ||= event.code === "Space" && event.target === stage));
    document.addEventListener("keyup", (event) => (this.#space &&= event.code !== "Space"));
  }

  /** How many pixels of the picture so many pixels of the screen are. @param {number} pixels */
  screen(pixels) {
    return pixels / this.#scale;
  }

  /** @param {HTMLImageElement} image @param {import("./review-shapes.js").Size} size of the label */
  show(image, size) {
    this.size = size;
    this.stage.querySelector("img")?.replaceWith(image);
    this.stage.style.aspectRatio = `${size.width} / ${size.height}`;
    this.svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    this.fit();
  }

  /** Shows all of the picture. */
  fit() {
    const { clientWidth, clientHeight } = this.stage;
    this.#scale = this.#least;
    this.#left = (clientWidth - this.#scale * this.size.width) / 2;
    this.#top = (clientHeight - this.#scale * this.size.height) / 2;
    this.#fitted = true;
    this.#place();
    this.changed();
  }

  /** The scale at which all of the picture can be seen. */
  get #least() {
    const [across, down] = [this.stage.clientWidth, this.stage.clientHeight].map((all) => Math.max(1, all - 2 * MARGIN_PX));
    return Math.min(across / this.size.width, down / this.size.height);
  }

  /** Larger or smaller around a point of the stage, its middle by default. @param {number} factor @param {Point} [around] */
  zoom(factor, around = [this.stage.clientWidth / 2, this.stage.clientHeight / 2]) {
    const before = this.#scale;
    const least = this.#least;
    this.#scale = within(before * factor, Math.min(least, before), MOST);
    const grown = this.#scale / before;
    this.#left = around[0] - grown * (around[0] - this.#left);
    this.#top = around[1] - grown * (around[1] - this.#top);
    this.#fitted = this.#scale <= least;
    if (this.#fitted) return this.fit();
    this.#place();
    this.changed();
  }

  /** @param {number} dx screen pixels @param {number} dy */
  pan(dx, dy) {
    this.#left += dx;
    this.#top += dy;
    this.#fitted = false;
    this.#place();
  }

  /** The point of the picture in the middle of the stage. @returns {Point} */
  middle() {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return this.#point({ clientX: left + width / 2, clientY: top + height / 2 });
  }

  /** Moves the picture so that a point of it can be seen. @param {Point} point */
  reveal([x, y]) {
    const { clientWidth, clientHeight } = this.stage;
    const [across, down] = [this.#left + this.#scale * x, this.#top + this.#scale * y];
    if (across === within(across, 0, clientWidth) && down === within(down, 0, clientHeight)) return;
    this.pan(clientWidth / 2 - across, clientHeight / 2 - down);
  }

  /** Puts shapes over the picture, in place of those that are there. @param {SVGElement[]} shapes */
  draw(shapes) {
    this.svg.replaceChildren(...shapes);
  }

  #place() {
    const { clientWidth, clientHeight } = this.stage;
    const [width, height] = [this.#scale * this.size.width, this.#scale * this.size.height];
    this.#left = within(this.#left, Math.min(60, clientWidth) - width, clientWidth - 60); // never out of sight
    this.#top = within(this.#top, Math.min(60, clientHeight) - height, clientHeight - 60);
    for (const element of [this.stage.querySelector("img"), this.svg]) {
      if (!element) continue;
      Object.assign(element.style, { left: `${this.#left}px`, top: `${this.#top}px`, width: `${width}px`, height: `${height}px` });
    }
    this.stage.classList.toggle("close", this.#scale > 4);
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} in pixels of the picture */
  #point({ clientX, clientY }) {
    const { left, top } = this.svg.getBoundingClientRect();
    return [(clientX - left) / this.#scale, (clientY - top) / this.#scale];
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const { left, top } = this.stage.getBoundingClientRect();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.002; // a pinch on a touchpad comes as a small wheel with Ctrl
    this.zoom(Math.exp(-event.deltaY * lines * speed), [event.clientX - left, event.clientY - top]);
  }

  /** @param {PointerEvent} event */
  #down(event) {
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, event);
    this.#panning = event.button === 1 || this.#space;
    if (this.#fingers.size > 1) return this.hand.cancel();
    if (event.button === 0 && !this.#panning) this.hand.down(this.#point(event), /** @type {Element} */ (event.target), event);
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.#fingers.get(event.pointerId);
    if (!before) return this.hand.move(this.#point(event));
    if (this.#fingers.size > 1) this.#pinch(event, before);
    else if (this.#panning) this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    else this.hand.move(this.#point(event));
    this.#fingers.set(event.pointerId, event);
  }

  /** Two fingers: the picture follows both. @param {PointerEvent} event @param {PointerEvent} before */
  #pinch(event, before) {
    const other = [...this.#fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (/** @type {PointerEvent} */ finger) =>
      Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
    const { left, top } = this.stage.getBoundingClientRect();
    const middle = [(event.clientX + other.clientX) / 2 - left, (event.clientY + other.clientY) / 2 - top];
    this.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    this.zoom(apart(event) / apart(before), /** @type {Point} */ (middle));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (!this.#fingers.delete(event.pointerId) || this.#fingers.size) return;
    if (event.type === "pointercancel") this.hand.cancel();
    else if (!this.#panning) this.hand.up();
    this.#panning = false;
  }
}

/**
 * A shape to be drawn.
 *
 * @param {string} name of the element
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 * @returns {SVGElement}
 */
export function shape(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}
