// @ts-check
/** The public routes, as the editor asks them. */

const LONGEST_SILENCE_MS = 60_000;

/** What the service or the way to it refused: `status` 0 means that nothing answered. */
export class Failure extends Error {
  /** @param {number} status @param {string} message @param {boolean} isPage whether a page came instead */
  constructor(status, message, isPage = false) {
    super(message);
    this.status = status;
    this.isPage = isPage;
  }

  /** Whether something is there that failed at this request: others may pass meanwhile. */
  get isInside() {
    return [500, 502, 504].includes(this.status);
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
 * @throws {Failure} it is no success, or not from the service: something on the way may answer in its name
 */
export async function call(method, path, body) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const answer = await answered(path, { method, keepalive: method === "DELETE", ...sent });
  if (answer.status === 204) return null;
  return answer.json().catch((error) => {
    throw new Failure(0, String(error));
  });
}

/** The bytes of an item. @param {string} itemId @throws {Failure} they do not come */
export async function mediumOf(itemId) {
  return (await answered(`/v1/items/${encodeURIComponent(itemId)}/media`)).blob();
}

/** @param {string} path @param {RequestInit} [how] @throws {Failure} it is no success */
async function answered(path, how) {
  const answer = await whole(path, how).catch((error) => {
    throw new Failure(0, String(error));
  });
  const type = answer.headers.get("Content-Type") ?? "";
  if (answer.ok && type.startsWith("text/html")) throw new Failure(0, `${path}: a page came`, true);
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  throw new Failure(answer.status, told?.error?.message ?? `${answer.status} ${answer.statusText}`);
}

/** An answer with all of its body; one that falls silent on the way is none. @param {string} path @param {RequestInit} [how] */
async function whole(path, how) {
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => silence.abort(), LONGEST_SILENCE_MS);
  };
  try {
    heard();
    const { status, statusText, headers, body } = await fetch(path, { ...how, signal: silence.signal });
    const parts = [];
    const reader = body?.getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      heard();
      parts.push(part.value);
    }
    return new Response(parts.length ? new Blob(parts) : null, { status, statusText, headers });
  } finally {
    window.clearTimeout(timer);
  }
}
