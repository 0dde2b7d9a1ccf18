// @ts-check
/** Steps that can be undone and done again. */

/** Keeps states that are never changed, only replaced. @template T */
export class Steps {
  /** @type {T[]} */
  #past = [];
  /** @type {T[]} */
  #future = [];

  /** @param {T} first */
  constructor(first) {
    this.now = first;
  }

  /** Goes on to another state. @param {T} next */
  take(next) {
    this.#past.push(this.now);
    this.#future = [];
    this.now = next;
  }

  /** @returns {boolean} whether there was a step to undo */
  undo() {
    return this.#turn(this.#past, this.#future);
  }

  /** @returns {boolean} whether there was a step to do again */
  redo() {
    return this.#turn(this.#future, this.#past);
  }

  /** @param {T[]} from @param {T[]} to */
  #turn(from, to) {
    const other = from.pop();
    if (other === undefined) return false;
    to.push(this.now);
    this.now = other;
    return true;
  }
}
