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

/**
 * A reason, or what a failure says, in the page's language: the service knows them all.
 *
 * @param {string} text in English
 * @returns {Promise<string>}
 */
async function reason(text) {
  if (!text || document.documentElement.lang === "en") return text;
  const answer = await fetch(`/reason?${new URLSearchParams({ text })}`).catch(() => null);
  return answer?.ok ? answer.text() : text;
}

/** Says a reason in the page's language, unless something else was said there meanwhile. */
export function tellReason(/** @type {HTMLElement} */ where, /** @type {string} */ text, what = "textContent") {
  Object.assign(where, { [what]: "" });
  where.dataset[what] = text;
  reason(text).then((said) => where.dataset[what] === text && Object.assign(where, { [what]: said }));
}

/** Why nothing comes of a request that may pass later. @param {import("./review-api.js").Failure} failure */
export function away({ status, isPage, isInside }) {
  if (status === 401) return say("You are signed out.");
  if (isPage) return say("A page came instead of an answer of the service, perhaps one to sign in.");
  return isInside ? say("The service failed at it.") : say("The service does not answer.");
}

/** What people call an item. @param {{uri: string, item_id: string}} item */
export function nameOf({ uri, item_id }) {
  return uri.startsWith("posted:") ? item_id.slice(0, 12) : uri.split("/").at(-1) || uri;
}

/** The element of the page with that id. @param {string} id */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`page: expected an element with the id ${id}, got none`);
  return found;
}

/** Puts children in place of those that are there; the focus stays at its place. @param {Element} parent @param {Node[]} children */
export function fill(parent, children) {
  const place = [...parent.children].findIndex((child) => child.contains(document.activeElement));
  parent.replaceChildren(...children);
  if (place < 0) return;
  const now = parent.children[Math.min(place, parent.children.length - 1)];
  const button = now?.matches("button") ? now : now?.querySelector("button");
  /** @type {HTMLElement | null | undefined} */ (button)?.focus({ preventScroll: true });
}

/** A name inside of other text; one that is read from right to left turns nothing around it. @param {string} name */
export function isolated(name) {
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(name) ? `\u2068${name}\u2069` : name;
}

/** Scrolls a list, and nothing around it, so that one of its parts can be seen. @param {Element} list @param {Element} part */
export function reveal(list, part) {
  const [all, one] = [list.getBoundingClientRect(), part.getBoundingClientRect()];
  list.scrollTop += one.top < all.top ? one.top - all.top : Math.max(0, one.bottom - all.bottom);
}

/**
 * Lets buttons act. A pointer on a button leaves the focus with what is worked on, so that Enter goes on meaning "send".
 *
 * @param {Record<string, () => void>} acts by the ids of the buttons
 * @param {HTMLElement} worked
 */
export function wire(acts, worked) {
  for (const [id, act] of Object.entries(acts))
    element(id).addEventListener("click", (event) => {
      act();
      if (event.detail) worked.focus({ preventScroll: true }); // 0 where a key pressed the button
    });
}

/** Tells a screen reader. @param {string} text */
export function announce(text) {
  element("live").textContent = text;
}

/**
 * What a person is asked where a promise has accepted some parts already.
 *
 * @param {{asked: boolean} | null} parts
 */
export function question(parts) {
  if (!parts) return "";
  return parts.asked ? say("Only the marked parts need a look. Is anything missing?") : say("Only the marked parts need a look.");
}
