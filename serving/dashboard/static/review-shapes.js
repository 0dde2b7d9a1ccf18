// @ts-check
/**
 * Boxes and lines in pixels of their picture. What a person moves lies on whole pixels relative to where it was, what
 * they draw on whole pixels; what they leave alone keeps its exact place.
 */

/**
 * @typedef {[number, number, number, number]} Xyxy left, top, right, bottom
 * @typedef {[number, number]} Point
 * @typedef {{width: number, height: number}} Size
 */

/** @param {number} value @param {number} least @param {number} most */
export const within = (value, least, most) => Math.min(most, Math.max(least, value));

/**
 * The box moved by whole pixels, or as far as the picture goes.
 *
 * @param {Xyxy} xyxy
 * @param {number} dx
 * @param {number} dy
 * @param {Size} size
 * @returns {Xyxy}
 */
export function moved([x1, y1, x2, y2], dx, dy, { width, height }) {
  const x = within(Math.round(dx), -x1, width - x2);
  const y = within(Math.round(dy), -y1, height - y2);
  return [within(x1 + x, 0, width), within(y1 + y, 0, height), within(x2 + x, 0, width), within(y2 + y, 0, height)];
}

/**
 * The box with some of its sides at a point; a side that passes the one opposite becomes it.
 *
 * @param {Xyxy} xyxy
 * @param {string} sides of "n", "e", "s" and "w"
 * @param {Point} point
 * @param {Size} size
 */
export function resized([x1, y1, x2, y2], sides, [x, y], size) {
  const left = sides.includes("w") ? x : x1;
  const right = sides.includes("e") ? x : x2;
  const top = sides.includes("n") ? y : y1;
  const bottom = sides.includes("s") ? y : y2;
  const whole = (/** @type {number} */ value, /** @type {string} */ side) => (sides.includes(side) ? Math.round(value) : value);
  return spanned([whole(left, "w"), whole(top, "n")], [whole(right, "e"), whole(bottom, "s")], size);
}

/**
 * The box between two corners, clipped to the picture and at least one pixel wide and high.
 *
 * @param {Point} one
 * @param {Point} other
 * @param {Size} size
 * @returns {Xyxy}
 */
export function spanned(one, other, { width, height }) {
  const [x1, x2] = side(one[0], other[0], width);
  const [y1, y2] = side(one[1], other[1], height);
  return [x1, y1, x2, y2];
}

/** @param {number} one @param {number} other @param {number} most @returns {[number, number]} */
function side(one, other, most) {
  const from = within(Math.min(one, other), 0, most - 1);
  return [from, within(Math.max(one, other), from + 1, most)];
}

/** @param {Xyxy} xyxy */
export const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

/**
 * The few points of a line between which it is straight: none of those left out lies farther off than `far` pixels
 * (Douglas and Peucker 1973).
 *
 * @param {Point[]} points
 * @param {number} far
 * @returns {Point[]}
 */
export function simplified(points, far) {
  if (points.length < 3) return points;
  const [first, last] = [points[0], /** @type {Point} */ (points.at(-1))];
  const off = points.map((point) => distance(point, first, last));
  const row = off.reduce((most, one, place) => (one > off[most] ? place : most), 0);
  if (off[row] <= far) return [first, last];
  return [...simplified(points.slice(0, row + 1), far).slice(0, -1), ...simplified(points.slice(row), far)];
}

/** How far a point is from the stretch between two others. @param {Point} point @param {Point} a @param {Point} b */
function distance([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = dx || dy ? within(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1) : 0;
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** The point moved by whole pixels, inside of the picture. @param {Point} point @param {number} dx @param {number} dy @param {Size} size @returns {Point} */
export function stepped([x, y], dx, dy, { width, height }) {
  return [within(x + Math.round(dx), 0, width), within(y + Math.round(dy), 0, height)];
}

/** The whole pixel at a point, inside of the picture. @param {Point} point @param {Size} size @returns {Point} */
export function onGrid([x, y], { width, height }) {
  return [within(Math.round(x), 0, width), within(Math.round(y), 0, height)];
}

/** The point half-way. @param {Point} one @param {Point} other @returns {Point} */
export const halfway = (one, other) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
