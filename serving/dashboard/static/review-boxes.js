// @ts-check
/** The editor of boxes: move them, put their sides right, draw and delete them, say what they are. */

import { announce, element, fill, isolated, say } from "./review-page.js";
import { PictureEditor, arrows, newId, standing } from "./review-picture.js";
import { area, moved, onGrid, resized, spanned } from "./review-shapes.js";
import { shape } from "./review-view.js";

/**
 * @typedef {import("./review-shapes.js").Xyxy} Xyxy
 * @typedef {import("./review-shapes.js").Point} Point
 * @typedef {import("./review-picture.js").Drawn & {xyxy: Xyxy, category: string}} Box
 * @typedef {{from: Point, sides: string, before: Xyxy | null, after: Xyxy | null}} Drag what a pointer is about to do
 */

const SIDES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const HANDLE_PX = 10;
const TAG_PX = 60; // a narrower box tells what it is only when it is chosen
const TAG_LETTERS = 24; // of a name on the picture; the list beside tells all of it
const STILL_PX = 3; // a pointer that moved less did not mean to
const UNKNOWN_HUE = 220;

/** @extends {PictureEditor<Box>} */
export class BoxEditor extends PictureEditor {
  /** @type {Drag | null} */
  #drag = null;
  #draws = false; // the next drag draws, wherever it begins

  /** @param {unknown} clock @param {{name: string, hue: number}[]} categories of the model */
  constructor(clock, categories) {
    super();
    this.categories = categories;
    this.category = categories[0]?.name ?? "";
  }

  /** @param {any} label @param {any} parts @returns {Box[]} */
  read({ boxes }, parts) {
    this.#know(boxes.map((/** @type {Box} */ box) => box.category));
    return boxes.map((/** @type {Box} */ box, /** @type {number} */ row) =>
      ({ id: newId(), xyxy: box.xyxy, category: box.category, confidence: box.confidence,
        ...standing(box.confidence, row, parts) }));
  }

  /** @param {Box[]} shapes */
  write(shapes) {
    const boxes = shapes.map(({ xyxy, category, confidence, accepted }) =>
      ({ xyxy, category, confidence: accepted ? confidence : 1 }));
    return { boxes };
  }

  /** Categories that the model does not know can be given as well, where the label has them. @param {string[]} names */
  #know(names) {
    for (const name of names)
      if (!this.categories.some((known) => known.name === name)) this.categories.push({ name, hue: UNKNOWN_HUE });
    this.category ||= this.categories[0]?.name ?? "";
  }

  /** @param {Box} box */
  hue({ category }) {
    return this.categories.find(({ name }) => name === category)?.hue ?? UNKNOWN_HUE;
  }

  /** @param {Box} box @returns {Point} */
  middle({ xyxy: [x1, y1, x2, y2] }) {
    return [(x1 + x2) / 2, (y1 + y2) / 2];
  }

  /** @param {Box} box */
  name({ category, confidence }) {
    return confidence < 1 ? `${isolated(category)} ${confidence.toFixed(2)}` : isolated(category);
  }

  /** @param {Box} box */
  tell(box) {
    const [x1, y1, x2, y2] = box.xyxy.map(Math.round);
    const where = say("{w} by {h} at {x}, {y}", { w: x2 - x1, h: y2 - y1, x: x1, y: y1 });
    return `${this.name(box)}${box.doubtful ? `, ${say("doubtful")}` : ""}, ${where}`;
  }

  render() {
    super.render();
    fill(element("categories"), this.categories.map(({ name, hue }, row) => this.#choice(name, hue, row)));
    element("stage").classList.toggle("draws", this.#draws);
  }

  /** @param {string} name @param {number} hue @param {number} row */
  #choice(name, hue, row) {
    const button = document.createElement("button");
    button.type = "button";
    button.style.setProperty("--hue", String(hue));
    button.setAttribute("aria-pressed", String(name === (this.shape?.category ?? this.category)));
    button.addEventListener("click", () => {
      this.#name(name);
      this.view.stage.focus({ preventScroll: true });
    });
    const key = document.createElement("kbd");
    key.textContent = row < 9 ? String(row + 1) : "";
    button.append(isolated(name), key);
    return button;
  }

  /** Says what the chosen box is, and the next ones that are drawn. @param {string} name */
  #name(name) {
    this.category = name;
    if (this.shape) this.change({ category: name });
    else this.render();
    announce(name);
  }

  keys() {
    const digits = this.categories.slice(0, 9).map(({ name }, row) => [String(row + 1), () => this.#name(name)]);
    return {
      ...Object.fromEntries(digits),
      ...arrows((dx, dy) => this.#grow(dx, dy), "Alt+"),
    };
  }

  /** @param {number} dx @param {number} dy */
  nudge(dx, dy) {
    if (this.shape) this.change({ xyxy: moved(this.shape.xyxy, dx, dy, this.view.size) });
  }

  /** Moves the right or the lower side. @param {number} dx @param {number} dy */
  #grow(dx, dy) {
    if (!this.shape) return;
    const [x1, y1, x2, y2] = this.shape.xyxy;
    const corner = /** @type {Point} */ ([Math.max(x1 + 1, x2 + dx), Math.max(y1 + 1, y2 + dy)]);
    this.change({ xyxy: resized(this.shape.xyxy, dx ? "e" : "s", corner, this.view.size) });
  }

  /** The next drag draws; pressed again, a box appears in the middle, to be moved by keys. */
  begin() {
    if (!this.#draws) {
      this.#draws = true;
      this.choose(null);
      return announce(say("Drag to draw a box, or press N again for one in the middle."));
    }
    const [x, y] = this.view.middle().map(Math.round);
    const half = Math.round(this.view.screen(30));
    this.#draw(spanned([x - half, y - half], [x + half, y + half], this.view.size));
  }

  /** @param {Xyxy} xyxy */
  #draw(xyxy) {
    this.#draws = false;
    this.add(this.#drawn(xyxy));
  }

  /** @param {Xyxy} xyxy @returns {Box} */
  #drawn(xyxy) {
    return { id: newId(), xyxy, category: this.category, confidence: 1, accepted: false, doubtful: false };
  }

  /** @param {Point} point @param {Element} target @param {PointerEvent} event */
  down(point, target, event) {
    const { sides = "", id } = /** @type {SVGElement} */ (target).dataset;
    const draws = this.#draws || event.shiftKey || (!sides && !id);
    if (!draws && id) this.choose(Number(id));
    if (draws) this.choose(null);
    this.#drag = { from: point, sides, before: this.shape?.xyxy ?? null, after: null };
  }

  /** @param {Point} point */
  move(point) {
    const drag = this.#drag;
    if (!drag) return;
    const [dx, dy] = [point[0] - drag.from[0], point[1] - drag.from[1]];
    if (!drag.after && Math.hypot(dx, dy) < this.view.screen(STILL_PX)) return;
    const { size } = this.view;
    if (!drag.before) drag.after = spanned(onGrid(drag.from, size), onGrid(point, size), size);
    else if (drag.sides) drag.after = resized(drag.before, drag.sides, point, size);
    else drag.after = moved(drag.before, dx, dy, size);
    this.view.draw(this.shapes());
  }

  up() {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag?.after) return this.render();
    if (drag.before) this.change({ xyxy: drag.after });
    else this.#draw(drag.after);
  }

  /** @param {number | null} id */
  choose(id) {
    this.#drag = null; // of the one that was chosen
    super.choose(id);
  }

  settled() {
    const { before, after } = this.#drag ?? {};
    if (!after) return this.steps.now;
    return before ? this.changed({ xyxy: after }) : [...this.steps.now, this.#drawn(after)];
  }

  cancel() {
    this.#drag = null;
    this.#draws = false;
  }

  shapes() {
    const after = this.#drag?.after;
    const now = after && this.#drag?.before ? this.changed({ xyxy: after }) : this.steps.now;
    const sorted = [...now].sort((one, other) => area(other.xyxy) - area(one.xyxy)); // small ones can be reached
    const chosen = now.find((box) => box.id === this.chosen);
    const drawn = after && !this.#drag?.before ? [outlined({ xyxy: after }, "box new", 0)] : [];
    return [...sorted.flatMap((box) => this.#box(box)), ...(chosen ? this.#handles(chosen.xyxy) : []), ...drawn];
  }

  /** @param {Box} box */
  #box(box) {
    const drawn = outlined(box, this.classes(box, "box"), this.hue(box));
    drawn.dataset.id = String(box.id);
    const room = box.xyxy[2] - box.xyxy[0] > this.view.screen(TAG_PX);
    const tagged = (box.doubtful && room) || box.id === this.chosen;
    return tagged ? [drawn, this.#tag(box)] : [drawn];
  }

  /** @param {Box} box */
  #tag(box) {
    const [x, y] = box.xyxy;
    const size = this.view.screen(13);
    const above = y > 1.6 * size ? y - 0.4 * size : y + 1.1 * size;
    return shape("text", { x: x + this.view.screen(2), y: above, "font-size": size, class: "tag" },
      this.name({ ...box, category: shortened(box.category) }));
  }

  /** @param {Xyxy} xyxy */
  #handles([x1, y1, x2, y2]) {
    const size = this.view.screen(HANDLE_PX);
    return SIDES.map((sides) => {
      const x = sides.includes("w") ? x1 : sides.includes("e") ? x2 : (x1 + x2) / 2;
      const y = sides.includes("n") ? y1 : sides.includes("s") ? y2 : (y1 + y2) / 2;
      const place = { x: x - size / 2, y: y - size / 2, width: size, height: size };
      return shape("rect", { ...place, class: `handle ${sides}`, "data-sides": sides });
    });
  }
}

/** A name that has room on a picture. @param {string} name */
const shortened = (name) => (name.length > TAG_LETTERS ? `${[...name].slice(0, TAG_LETTERS - 1).join("")}…` : name);

/** @param {{xyxy: Xyxy}} box @param {string} name @param {number} hue */
function outlined({ xyxy: [x1, y1, x2, y2] }, name, hue) {
  return shape("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, class: name, style: `--hue:${hue}` });
}
