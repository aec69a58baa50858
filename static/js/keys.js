// Keys for those who like them. `?` shows the list; one switch turns all of them off (WCAG 2.1.4).
//
// Single letters never work while a field has the focus, while a dialog or menu is open, or together
// with Ctrl, Alt or Meta. j and k move the focus itself from row to row, so what Enter, x, r and h act
// on is always what is seen to have it.

import { isAnyOpen, open } from "./modal.js";

const KEY = "mailweir-keys";
const G_FOR = 1500; // ms in which a second key may follow g

let gAt = 0;
const acts = new Map(); // key: function, added by the page's own scripts

export function on(key, act) {
  acts.set(key, act);
}

function isOn() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
}

function set(isWanted) {
  try {
    localStorage.setItem(KEY, isWanted ? "on" : "off");
  } catch {
    // storage may be forbidden: the switch shows that it did not move
  }
}

const isVisible = (element) => element.checkVisibility();
const rows = () => [...document.querySelectorAll("main .rows tbody tr, main [data-key-row]")].filter(isVisible);

// The row that the focus is in, or null.
export function row() {
  return document.activeElement?.closest("main .rows tbody tr, main [data-key-row]") || null;
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(row());
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
  next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function enter(event) {
  const here = row();
  if (!here || document.activeElement !== here) return; // a link or button does what it does
  const link = here.querySelector("th a[href], a[href]");
  if (!link) return;
  event.preventDefault();
  link.click();
}

function goTo(key) {
  const link = document.querySelector(`a[data-go="${CSS.escape(key)}"]`);
  if (link) link.click();
}

function search(event) {
  const field = document.querySelector("main [type=search]");
  if (!field) {
    document.querySelector("a[data-go='d']")?.click();
    return;
  }
  event.preventDefault();
  field.focus();
  field.select();
}

function help() {
  const dialog = document.getElementById("keys");
  dialog.querySelector("#keys-on").checked = isOn();
  open(dialog);
}

const OWN = {
  "/": search,
  "?": help,
  j: () => move(1),
  k: () => move(-1),
  Enter: enter,
  g: () => { gAt = Date.now(); },
};

function isTyping(target) {
  if (target.closest("textarea, select, [contenteditable]")) return true;
  const field = target.closest("input");
  return Boolean(field) && !["checkbox", "radio", "button", "submit"].includes(field.type);
}

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  if (!isOn() || isTyping(event.target) || isAnyOpen() || document.querySelector(".dropdown-menu.show")) return;
  if (gAt && Date.now() - gAt < G_FOR && event.key !== "g") {
    gAt = 0;
    goTo(event.key);
    return;
  }
  gAt = 0;
  (OWN[event.key] || acts.get(event.key))?.(event);
}

export function start() {
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  document.addEventListener("keydown", press);
  dialog.querySelector("#keys-on").addEventListener("change", (event) => {
    set(event.target.checked);
    event.target.checked = isOn();
  });
  for (const button of document.querySelectorAll("[data-keys-help]")) button.addEventListener("click", help);
}
