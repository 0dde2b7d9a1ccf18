// @ts-check
/**
 * The editor of lines: move their points, add and remove some, draw new lines.
 *
 * A model puts a point every few pixels. A chosen line therefore shows knots: the few points between which it is
 * straight. As soon as one of them is changed, the line is what its knots say; until then it keeps every digit.
 */

import { announce, element, say } from "./review-page.js";
import { PictureEditor, arrows, newId, standing } from "./review-picture.js";
import { halfway, onGrid, simplified, stepped } from "./review-shapes.js";
import { shape } from "./review-view.js";

/**
 * @typedef {import("./review-shapes.js").Point} Point
 * @typedef {import("./review-picture.js").Drawn & {points: Point[], std_px: number[], hue: number, row: number,
 *   bent: boolean}} Lane a bent one has no points but its knots
 *
 * @typedef {object} Drag what a pointer does
 * @property {Point} from
 * @property {(to: Point) => Point[]} points those of the chosen line, or of a new one
 * @property {"new" | "bent" | "carried"} kind of line that it leaves
 * @property {Point[] | null} after
 */

const KNOT_PX = 6; // radius
const STILL_PX = 3;
const STRAIGHT = 1.25 / 512; // of the picture's width: so far a line may be off the straight between two knots

/** @extends {PictureEditor<Lane>} */
export class LaneEditor extends PictureEditor {
  /** @type {Drag | null} */
  #drag = null;
  /** @type {number | null} the knot of the chosen line that is chosen */
  #knot = null;
  /** @type {Point[] | null} of a line that is being drawn, point by point */
  #pen = null;
  /** @type {Point} where the next point of it would lie */
  #tip = [0, 0];
  #rows = 0;

  /** @param {any} label @param {any} parts @returns {Lane[]} */
  read({ lanes }, parts) {
    this.#rows = 0;
    return lanes.map((/** @type {any} */ lane, /** @type {number} */ row) => ({
      ...this.#line(lane.points, lane.confidence, false), std_px: lane.std_px ?? [], ...standing(lane.confidence, row, parts) }));
  }

  /** @param {Point[]} points @param {number} confidence @param {boolean} bent @param {number} [row] @returns {Lane} */
  #line(points, confidence, bent, row = this.#rows++) {
    return { id: newId(), points, std_px: [], confidence, hue: (row * 67 + 150) % 360, row, bent };
  }

  /** @param {Lane[]} shapes */
  write(shapes) {
    const lanes = shapes.map(({ points, std_px, confidence, accepted }) =>
      accepted ? { points, std_px, confidence } : { points, std_px: [], confidence: 1 });
    return { lanes };
  }

  /** @param {Lane} lane */
  hue(lane) {
    return lane.hue;
  }

  /** @param {Lane} lane */
  name({ row, confidence }) {
    return say("line {n}", { n: row + 1 }) + (confidence < 1 ? ` ${confidence.toFixed(2)}` : "");
  }

  /** @param {Lane} lane */
  tell(lane) {
    return `${this.name(lane)}${lane.doubtful ? `, ${say("doubtful")}` : ""}, ${say("{n} points", { n: this.#knots().length })}`;
  }

  /** @param {Lane} lane */
  middle({ points }) {
    return points[points.length >> 1];
  }

  /** @param {number | null} id */
  choose(id) {
    this.#drag = null; // of the one that was chosen
    this.#knot = null;
    super.choose(id);
  }

  /** The knots of a line, by default of the chosen one. @param {Lane} [lane] @returns {Point[]} */
  #knots(lane = this.shape) {
    if (!lane) return [];
    return lane.bent ? lane.points : simplified(lane.points, STRAIGHT * this.view.size.width);
  }

  /** Lets the chosen line be what some knots say. @param {Point[]} points @param {number | null} knot */
  #bend(points, knot) {
    this.change({ points, std_px: [], bent: true });
    this.#chooseKnot(knot);
  }

  /** @param {number | null} knot */
  #chooseKnot(knot) {
    const knots = this.#knots();
    this.#knot = knot === null || !knots.length ? null : Math.max(0, Math.min(knots.length - 1, knot));
    this.render();
    if (this.#knot === null) return;
    const [x, y] = knots[this.#knot].map(Math.round);
    announce(say("point {n} of {all} at {x}, {y}", { n: this.#knot + 1, all: knots.length, x, y }));
  }

  // -- keys

  /** @param {string} key @param {KeyboardEvent} event */
  press(key, event) {
    const act = this.#pen ? this.#penKeys()[key] : undefined;
    act?.();
    return !!act || super.press(key, event);
  }

  keys() {
    return {
      ",": () => this.#chooseKnot(this.#knot === null ? this.#knots().length - 1 : this.#knot - 1),
      ".": () => this.#chooseKnot(this.#knot === null ? 0 : this.#knot + 1),
      I: () => this.#insert(),
    };
  }

  /** A point half-way from the chosen one to the next. */
  #insert() {
    const knots = this.#knots();
    if (!knots.length) return;
    const place = Math.min(this.#knot ?? 0, knots.length - 2);
    const between = onGrid(halfway(knots[place], knots[place + 1]), this.view.size);
    this.#bend([...knots.slice(0, place + 1), between, ...knots.slice(place + 1)], place + 1);
  }

  /** @param {number} dx @param {number} dy */
  nudge(dx, dy) {
    if (!this.shape) return;
    const knot = this.#knot;
    if (knot === null) return this.change({ points: this.shape.points.map(([x, y]) => [x + dx, y + dy]) });
    this.#bend(this.#knots().map((point, row) => (row === knot ? stepped(point, dx, dy, this.view.size) : point)), knot);
  }

  /** Removes the chosen point, or the line. */
  remove() {
    const knots = this.#knots();
    if (this.#knot === null || knots.length < 3) return super.remove();
    this.#bend(knots.filter((_, row) => row !== this.#knot), this.#knot);
  }

  settled() {
    const { kind, after } = this.#drag ?? {};
    const drawn = this.#pen ?? (kind === "new" ? after : null);
    if (drawn && drawn.length > 1) return [...this.steps.now, this.#line(drawn, 1, true, this.#rows)];
    if (!after || drawn) return this.steps.now;
    return this.changed(kind === "bent" ? { points: after, std_px: [], bent: true } : { points: after });
  }

  // -- drawing point by point

  begin() {
    if (this.#pen) return this.#put();
    this.choose(null);
    this.#pen = [];
    this.#tip = onGrid(this.view.middle(), this.view.size);
    this.render();
    announce(say("Click its points, or move the cross by arrows and press the space bar; Enter, or the last point once more, ends the line."));
  }

  /** @returns {Record<string, () => void>} */
  #penKeys() {
    return {
      " ": () => this.#put(),
      Enter: () => this.#finish(),
      Escape: () => this.cancel(),
      Backspace: () => this.#takePoint(),
      ...arrows((dx, dy) => {
        this.#tip = stepped(this.#tip, dx, dy, this.view.size);
        this.view.reveal(this.#tip);
        this.render();
      }),
    };
  }

  /** A step back or ahead; while a line is drawn, its last point is taken back. @param {"undo" | "redo"} way */
  turn(way) {
    if (!this.#pen) super.turn(way);
    else if (way === "undo") this.#takePoint();
  }

  turned() {
    super.turned();
    this.#chooseKnot(this.#knot); // there may be fewer
  }

  #takePoint() {
    this.#pen = this.#pen?.slice(0, -1) ?? null;
    this.render();
  }

  #put() {
    const last = this.#pen?.at(-1);
    if (last?.join() !== this.#tip.join()) this.#pen?.push(this.#tip);
    this.render();
  }

  #finish() {
    if (!this.#pen) return;
    const points = this.#pen;
    this.#pen = null;
    if (points.length > 1) this.add(this.#line(points, 1, true));
    else this.render();
  }

  // -- the pointer

  /** @param {Point} point @param {Element} target @param {PointerEvent} event */
  down(point, target, event) {
    if (this.#pen) {
      const last = this.#pen.at(-1);
      if (last && this.#pen.length > 1 && Math.hypot(point[0] - last[0], point[1] - last[1]) < this.view.screen(KNOT_PX))
        return this.#finish();
      this.#tip = onGrid(point, this.view.size);
      return this.#put();
    }
    const { knot, gap, id } = /** @type {SVGElement} */ (target).dataset;
    if (knot || gap) return this.#grab(point, Number(knot ?? gap), !!gap);
    this.choose(id && !event.shiftKey ? Number(id) : null);
    this.#drag = { from: point, kind: this.shape ? "carried" : "new", after: null, points: (to) => this.#carried(point, to) };
  }

  /** A drag of a knot, or of the middle between two, which becomes one. @param {Point} from @param {number} row @param {boolean} gap */
  #grab(from, row, gap) {
    const knots = this.#knots();
    const before = knots.slice(0, gap ? row + 1 : row);
    const behind = knots.slice(row + 1);
    const place = gap ? halfway(knots[row], knots[row + 1]) : knots[row];
    this.#knot = gap ? row + 1 : row;
    this.#drag = { from, kind: "bent", after: null, points: (to) =>
      [...before, onGrid([place[0] + to[0] - from[0], place[1] + to[1] - from[1]], this.view.size), ...behind] };
    this.render();
  }

  /** The whole line carried along, or a new straight one. @param {Point} from @param {Point} to @returns {Point[]} */
  #carried(from, to) {
    const { size } = this.view;
    if (!this.shape) return [onGrid(from, size), onGrid(to, size)];
    const [dx, dy] = [Math.round(to[0] - from[0]), Math.round(to[1] - from[1])];
    return this.shape.points.map(([x, y]) => [x + dx, y + dy]);
  }

  /** @param {Point} point */
  move(point) {
    const drag = this.#drag;
    if (this.#pen) {
      this.#tip = onGrid(point, this.view.size);
      return this.view.draw(this.shapes());
    }
    if (!drag) return;
    const far = Math.hypot(point[0] - drag.from[0], point[1] - drag.from[1]);
    if (!drag.after && far < this.view.screen(STILL_PX)) return;
    drag.after = drag.points(point);
    this.view.draw(this.shapes());
  }

  up() {
    const drag = this.#drag;
    const knot = this.#knot;
    this.#drag = null;
    if (!drag?.after) return this.render();
    if (drag.kind === "new") this.add(this.#line(drag.after, 1, true));
    else if (drag.kind === "bent") this.#bend(drag.after, knot);
    else this.change({ points: drag.after });
  }

  cancel() {
    this.#drag = null;
    this.#pen = null;
    this.render();
  }

  render() {
    super.render();
    element("stage").classList.toggle("draws", !!this.#pen);
  }

  // -- how it looks

  shapes() {
    const drag = this.#drag;
    const after = drag?.after;
    const now = after && drag.kind !== "new" ? this.changed({ points: after, bent: drag.kind === "bent" }) : this.steps.now;
    const chosen = now.find((lane) => lane.id === this.chosen);
    return [
      ...now.flatMap((lane) => this.#lane(lane)),
      ...(chosen ? this.#handles(this.#knots(chosen)) : []),
      ...(after && drag.kind === "new" ? [line(after, "lane new")] : []),
      ...this.#penned(),
    ];
  }

  /** @param {Lane} lane */
  #lane(lane) {
    const style = `--hue:${lane.hue}`;
    const seen = line(lane.points, this.classes(lane, "lane"), style);
    const wide = line(lane.points, "reach", style);
    wide.dataset.id = String(lane.id);
    const tag = lane.doubtful || lane.id === this.chosen ? [this.#tag(lane)] : [];
    return [...(lane.std_px.length === lane.points.length ? [band(lane, style)] : []), seen, wide, ...tag];
  }

  /** @param {Lane} lane */
  #tag(lane) {
    const [x, y] = this.middle(lane);
    const size = this.view.screen(13);
    return shape("text", { x: x + size, y: y - size / 2, "font-size": size, class: "tag" }, this.name(lane));
  }

  /** @param {Point[]} knots */
  #handles(knots) {
    const round = (/** @type {Point} */ [x, y], /** @type {number} */ r, /** @type {Record<string, string | number>} */ more) =>
      shape("circle", { cx: x, cy: y, r: this.view.screen(r), ...more });
    const gaps = knots.slice(1).map((point, row) => round(halfway(knots[row], point), KNOT_PX - 2, { class: "gap", "data-gap": row }));
    const own = knots.map((point, row) =>
      round(point, KNOT_PX, { class: row === this.#knot ? "knot chosen" : "knot", "data-knot": row }));
    return [...gaps, ...own];
  }

  #penned() {
    if (!this.#pen) return [];
    const [x, y] = this.#tip;
    const arm = this.view.screen(9);
    const cross = [line([[x - arm, y], [x + arm, y]], "cross"), line([[x, y - arm], [x, y + arm]], "cross")];
    return [line([...this.#pen, this.#tip], "lane new"), ...cross];
  }
}

/** @param {Point[]} points @param {string} name @param {string} [style] */
const line = (points, name, style = "") => shape("polyline", { points: points.join(" "), class: name, style });

/** One standard deviation to either side. @param {Lane} lane @param {string} style */
function band({ points, std_px }, style) {
  const sides = [-1, 1].map((sign) => points.map(([x, y], row) => [x + sign * std_px[row], y]));
  return shape("polygon", { points: [...sides[0], ...sides[1].reverse()].join(" "), class: "band", style });
}
