// @ts-check
/** Keys by their names. */

const AT = { Comma: ",", Period: "." }; // what is printed there where letters are Latin

/**
 * The name of a key with its modifiers, such as "Enter", "Alt+S", "Shift+ArrowLeft" or "?".
 *
 * Cmd is Ctrl.
 *
 * @param {KeyboardEvent} event
 */
export function chord(event) {
  const printed = printedOn(event);
  const named = printed.length === 1 ? printed.toUpperCase() : printed;
  const shift = event.shiftKey && (named.length > 1 || /[A-Z]/.test(named));
  const held = [[event.ctrlKey || event.metaKey, "Ctrl+"], [event.altKey, "Alt+"], [shift, "Shift+"]];
  return held.map(([is, name]) => (is ? name : "")).join("") + named;
}

/**
 * What is printed on a key. Its place on the keyboard counts where it types other letters than Latin ones, as all do on
 * some keyboards and many with Alt; and in the row of digits, some of which need Shift for them.
 *
 * @param {KeyboardEvent} event
 */
function printedOn({ key, code, altKey, shiftKey }) {
  if (key.length > 1 && key !== "Dead") return key;
  if (/^Digit/.test(code) && !shiftKey && !/[-+=]/.test(key)) return code.slice(-1);
  if ((altKey ? /[a-z,.]/i : /[ -~]/).test(key) && key.length === 1) return key;
  return AT[/** @type {keyof typeof AT} */ (code)] ?? code.replace(/^(Key|Digit)/, "");
}

/** Whether a key belongs to an input method that is composing. @param {KeyboardEvent} event */
export const composes = (event) => event.isComposing || event.keyCode === 229;

/** Whether keys write text there. @param {EventTarget | null} target */
export const writes = (target) =>
  target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type !== "checkbox");

/** Whether Enter means the element itself. @param {EventTarget | null} target */
export const acts = (target) => target instanceof HTMLElement && !!target.closest("button, a, select, summary");
