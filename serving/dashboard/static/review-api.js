// @ts-check
/** The public routes, as the editor asks them. */

/** What the service or the way to it refused: `status` 0 means that nothing answered. */
export class Failure extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may well pass later, or after signing in. */
  get passes() {
    return this.status === 0 || this.status >= 500 || [401, 408, 429].includes(this.status);
  }
}

/**
 * The JSON that a route answers.
 *
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>}
 * @throws {Failure} it is no success
 */
export async function call(method, path, body) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const answer = await answered(path, { method, keepalive: method === "DELETE", ...sent });
  return answer.status === 204 ? null : answer.json().catch(() => null);
}

/** The bytes of an item. @param {string} itemId @throws {Failure} they do not come */
export async function mediumOf(itemId) {
  return (await answered(mediaOf(itemId))).blob();
}

/** @param {string} path @param {RequestInit} [how] @throws {Failure} it is no success */
async function answered(path, how) {
  const answer = await fetch(path, how).catch((error) => {
    throw new Failure(0, String(error));
  });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  throw new Failure(answer.status, told?.error?.message ?? `${answer.status} ${answer.statusText}`);
}

/** @param {string} itemId */
export const mediaOf = (itemId) => `/v1/items/${encodeURIComponent(itemId)}/media`;
