// @ts-check
/** What the page says, in its language, and where it says it. */

/** @type {Record<string, string>} English sentences in the page's language */
const SAID = JSON.parse(document.getElementById("said")?.textContent ?? "{}");

/**
 * A sentence in the page's language, its `{names}` filled in.
 *
 * @param {string} sentence
 * @param {Record<string, string | number>} [values]
 */
export function say(sentence, values = {}) {
  return (SAID[sentence] ?? sentence).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** The element of the page with that id. @param {string} id */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`page: expected an element with the id ${id}, got none`);
  return found;
}

/** Puts children in place of those that are there. @param {Element} parent @param {Node[]} children */
export function fill(parent, children) {
  parent.replaceChildren(...children);
}
