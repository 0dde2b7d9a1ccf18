// @ts-check
/** What the service has not, as the person sees it: opened again, sent all the same, or thrown away. */

import { failureOf } from "./review-outbox.js";
import { away, element, fill, say, tellReason } from "./review-page.js";

/**
 * @typedef {import("./review-outbox.js").Outbox} Outbox
 * @typedef {import("./review-outbox.js").Letter} Letter
 */

/** @param {Outbox} outbox */
export function tellOutbox(outbox) {
  const { waiting, refused, trouble, isSafe } = outbox;
  const kept = isSafe ? say("Kept in this browser.") : say("Do not close this page.");
  element("waiting").textContent = trouble ? `${away(trouble)} ${say("{n} not sent yet.", { n: waiting.length })} ${kept}` : "";
  element("sign-in").hidden = trouble?.status !== 401;
  element("unsent").hidden = !trouble;
  fill(element("letters"), waiting.map((letter) => line(outbox, letter, whyNot(letter))));
  fill(element("refused"), refused.map((letter) => refusal(outbox, letter)));
}

/** Why it is not sent: what the service said, where it said anything. @param {Letter} letter */
function whyNot({ failed }) {
  return failed?.status ? failed.message : failed ? away(failureOf(failed)) : "";
}

/** @param {Outbox} outbox @param {Letter} letter */
function refusal(outbox, letter) {
  const told = document.createElement("p");
  const stale = letter.refused?.status === 409;
  told.textContent = stale ? say("Your time for an item was over, or someone else was faster. Your work is kept.")
    : say("The service refused a correction. It is kept.");
  const row = line(outbox, letter, letter.refused?.message ?? "");
  row.prepend(told);
  if (stale) row.append(button(say("Send it all the same"), () => outbox.insist(letter)));
  return row;
}

/** Which item, when, what the service said of it, and what to do. @param {Outbox} outbox @param {Letter} letter @param {string} said */
function line(outbox, letter, said) {
  const row = document.createElement("div");
  const name = document.createElement("b");
  name.textContent = letter.name ?? letter.itemId.slice(0, 12);
  const time = document.createElement("time");
  time.dateTime = letter.body.created_at;
  time.textContent = new Date(letter.body.created_at).toLocaleString(document.documentElement.lang);
  const detail = document.createElement("small");
  tellReason(detail, said);
  const again = Object.assign(document.createElement("a"), {
    textContent: say("Open it again"),
    href: `/review/${letter.body.task}/${letter.itemId}`,
  });
  row.append(name, time, detail, again, button(say("Throw it away"), () => ask(outbox, letter)));
  return row;
}

/** Work is thrown away where the person says so twice. @param {Outbox} outbox @param {Letter} letter */
function ask(outbox, letter) {
  const dialog = /** @type {HTMLDialogElement} */ (element("throw-dialog"));
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "throw" && outbox.discard(letter);
  dialog.showModal();
}

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}
