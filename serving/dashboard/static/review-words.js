// @ts-check
/** The words of a text, beside those that a model heard. */

/**
 * @typedef {object} Word as a record has it: text, its span in seconds, its confidence in [0, 1]
 * @property {string} text
 * @property {number} start_s
 * @property {number} end_s
 * @property {number} confidence
 *
 * @typedef {object} Place a word where it stands in a text
 * @property {string} text
 * @property {number} from
 * @property {number} to
 */

const DOUBTFUL = 0.8; // below this confidence a word may be marked
const CELLS = 2 ** 20; // of a table that two texts are compared in, so that a key is answered at once

/** @param {string} text @returns {Place[]} */
export function places(text) {
  return [...text.matchAll(/\S+/gu)].map((found) => ({
    text: found[0],
    from: found.index,
    to: found.index + found[0].length,
  }));
}

/**
 * Of each typed word the heard one that it is, or -1: a longest common subsequence. What a person types changes a few
 * words, so only the stretch between the common beginning and the common end is compared; of a stretch of more than
 * about a thousand words, words that are about as far along in both.
 *
 * @param {string[]} heard
 * @param {string[]} typed
 * @returns {number[]}
 */
export function align(heard, typed) {
  const found = typed.map(() => -1);
  let start = 0;
  while (start < heard.length && start < typed.length && heard[start] === typed[start]) found[start] = start++;
  let [h, t] = [heard.length, typed.length];
  while (h > start && t > start && heard[h - 1] === typed[t - 1]) found[--t] = --h;
  const common = lengths(heard.slice(start, h), typed.slice(start, t));
  for (let [i, j] = [0, 0]; i < h - start && j < t - start; ) {
    if (heard[start + i] === typed[start + j]) found[start + j++] = start + i++;
    else if (common(i + 1, j) >= common(i, j + 1)) i++;
    else j++;
  }
  return found;
}

/**
 * The longest common subsequence of the rest of both, from each place near the diagonal on. Off it nothing is known; who
 * is behind in the second text gets less the further behind, and so is led back.
 *
 * @param {string[]} a
 * @param {string[]} b
 */
function lengths(a, b) {
  const breadth = Math.ceil(CELLS / (a.length + 1) / 2);
  const first = (/** @type {number} */ i) => Math.max(0, Math.floor((i * b.length) / a.length) - breadth);
  const ids = new Map([...a, ...b].map((word, id) => [word, id])); // numbers are compared at once
  const [one, other] = [a, b].map((words) => Uint32Array.from(words, (word) => ids.get(word) ?? -1));
  /** @type {Uint16Array[]} */
  const table = [];
  let below = new Uint16Array(0);
  for (let i = a.length - 1; i >= 0; i--) {
    const begin = first(i);
    const shift = begin - first(i + 1); // the row below may begin further on
    const row = new Uint16Array(Math.min(b.length, begin + 2 * breadth) - begin);
    for (let k = row.length - 1; k >= 0; k--)
      row[k] = one[i] === other[begin + k] ? (below[k + shift + 1] ?? 0) + 1 : Math.max(below[k + shift] ?? 0, row[k + 1] ?? 0);
    table[i] = below = row;
  }
  return (/** @type {number} */ i, /** @type {number} */ j) => table[i]?.[j - first(i)] ?? Math.min(0, j - first(i));
}

/**
 * Whether each word needs a look: where a promise speaks of parts, those that it shows; otherwise the uncertain ones,
 * and of a text that is uncertain throughout its lesser half.
 *
 * @param {Word[]} words
 * @param {{shown: number[]} | null} parts
 */
export function doubts(words, parts) {
  if (parts) return words.map((_, row) => parts.shown.includes(row));
  const sorted = words.map((word) => word.confidence).sort((one, other) => one - other);
  const limit = words.length < 3 ? 1 : sorted[Math.floor(words.length / 2)];
  return words.map(({ confidence }) => confidence < DOUBTFUL && confidence <= limit);
}

/**
 * The transcript that a person gives: its text, and the times of its words where it is what the model heard. A person
 * vouches for each word, but for those that a promise let nobody see.
 *
 * @param {string} text
 * @param {Word[]} words that the model heard
 * @param {{accepted: number[]} | null} parts
 */
export function transcript(text, words, parts) {
  const said = places(text).map((place) => place.text);
  const same = said.length === words.length && said.every((word, row) => word === words[row].text);
  const vouched = words.map((word, row) => (parts?.accepted.includes(row) ? word : { ...word, confidence: 1 }));
  return { text: said.join(" "), words: same ? vouched : [] };
}
