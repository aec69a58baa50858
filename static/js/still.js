// Keeps the page still while the reader has text selected in it, so that copying a reply works, and while
// a dialog is open, whoever opened it. Ticks hold for themselves (select.js).

import * as live from "./live.js";
import { gettext } from "./words.js";

const FIELDS = "input, textarea, select";

function isTextSelected() {
  const selected = window.getSelection();
  if (!selected || selected.isCollapsed || document.activeElement?.matches(FIELDS)) return false;
  const main = document.getElementById("main");
  return Boolean(main?.contains(selected.anchorNode)) && selected.toString().trim() !== "";
}

function watchDialogs() {
  if (document.querySelector("dialog[open]")) live.hold("dialog", gettext("dialog open"));
  else live.release("dialog");
}

export function start() {
  if (!document.body.dataset.live) return;
  const watcher = new MutationObserver(watchDialogs);
  watcher.observe(document.body, { subtree: true, attributes: true, attributeFilter: ["open"] });
  document.addEventListener("selectionchange", () => {
    if (isTextSelected()) live.hold("text", gettext("text selected"));
    else live.release("text");
  });
}
