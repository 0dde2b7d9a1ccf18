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
