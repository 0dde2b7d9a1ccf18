// @ts-check
/** Keys by their names. */

/**
 * The name of a key with its modifiers, such as "Enter", "Alt+S", "Shift+ArrowLeft" or "?".
 *
 * Cmd is Ctrl. With Alt the place on the keyboard counts, as Alt types other letters on some.
 *
 * @param {KeyboardEvent} event
 */
export function chord(event) {
  const printed = event.altKey ? event.code.replace(/^(Key|Digit)/, "") : event.key;
  const named = printed.length === 1 ? printed.toUpperCase() : printed;
  const shift = event.shiftKey && (named.length > 1 || /[A-Z]/.test(named));
  const held = [[event.ctrlKey || event.metaKey, "Ctrl+"], [event.altKey, "Alt+"], [shift, "Shift+"]];
  return held.map(([is, name]) => (is ? name : "")).join("") + named;
}

/** Whether a key belongs to an input method that is composing. @param {KeyboardEvent} event */
export const composes = (event) => event.isComposing || event.keyCode === 229;

/** Whether keys write text there. @param {EventTarget | null} target */
export const writes = (target) => target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;

/** Whether Enter means the element itself. @param {EventTarget | null} target */
export const acts = (target) => target instanceof HTMLElement && !!target.closest("button, a, select, summary");
