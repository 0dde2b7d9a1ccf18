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
  let answer;
  try {
    answer = await fetch(path, { method, keepalive: method === "DELETE", ...sent });
  } catch (error) {
    throw new Failure(0, String(error));
  }
  const told = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Failure(answer.status, told?.error?.message ?? answer.statusText);
  return told;
}

/** @param {string} itemId */
export const mediaOf = (itemId) => `/v1/items/${encodeURIComponent(itemId)}/media`;
