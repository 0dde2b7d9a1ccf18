// @ts-check
/** What the browser keeps for us between pages, as JSON; nothing fails where it keeps nothing. */

/**
 * @param {string} key
 * @param {any} [otherwise] what is said where nothing is kept
 * @returns {any}
 */
export function kept(key, otherwise = null, shelf = () => localStorage) {
  try {
    return JSON.parse(shelf().getItem(key) ?? "null") ?? otherwise;
  } catch {
    return otherwise;
  }
}

/**
 * @param {string} key
 * @param {unknown} value
 * @returns {boolean} whether it is kept
 */
export function keep(key, value, shelf = () => localStorage) {
  try {
    shelf().setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false; // no room, or storage is forbidden
  }
}

/** @param {string} key @returns {any} what was kept; it is no longer */
export function taken(key) {
  const value = kept(key);
  if (value !== null) localStorage.removeItem(key);
  return value;
}

/** The keys that begin so. @param {string} prefix @returns {string[]} */
export function keysOf(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  } catch {
    return [];
  }
}
