// @ts-check
/** The marks beneath a text, one a word. A text may have thousands, so only those that are others are drawn anew. */

import { places } from "./review-words.js";

/** @typedef {{gap: string, word: string, nodes: [Text, HTMLElement]}} Piece a word, and what stands before it */

export class Marks {
  /** @type {Piece[]} */
  #pieces = [];
  #rest = document.createTextNode("");

  /** @param {HTMLElement} field that lies under the text */
  constructor(field) {
    field.replaceChildren(this.#rest);
  }

  /** @param {string} text */
  show(text) {
    const words = places(text);
    const now = words.map(({ text: word, from }, row) => ({ gap: text.slice(words[row - 1]?.to ?? 0, from), word }));
    const same = (/** @type {number} */ before, /** @type {number} */ after) =>
      this.#pieces[before].word === now[after].word && this.#pieces[before].gap === now[after].gap;
    let [start, before, after] = [0, this.#pieces.length, now.length];
    while (start < before && start < after && same(start, start)) start++;
    while (before > start && after > start && same(before - 1, after - 1)) [before, after] = [before - 1, after - 1];
    const next = this.#pieces[before]?.nodes[0] ?? this.#rest;
    const drawn = now.slice(start, after).map(drawing);
    next.before(...drawn.flatMap(({ nodes }) => nodes));
    for (const node of this.#pieces.slice(start, before).flatMap(({ nodes }) => nodes)) node.remove();
    this.#pieces = [...this.#pieces.slice(0, start), ...drawn, ...this.#pieces.slice(before)];
    this.#rest.data = `${text.slice(words.at(-1)?.to ?? 0)}\u200b`;
  }

  /** Lets each mark look as its word does. @param {(place: number) => string} look the names of its classes */
  dress(look) {
    this.#pieces.forEach(({ nodes: [, mark] }, place) => {
      const name = look(place);
      if (mark.className !== name) mark.className = name;
    });
  }
}

/** @param {{gap: string, word: string}} piece @returns {Piece} */
function drawing({ gap, word }) {
  const mark = document.createElement("mark");
  mark.textContent = word;
  return { gap, word, nodes: [document.createTextNode(gap), mark] };
}
