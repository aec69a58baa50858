// Alerts on every page: the count in the title and in the top bar, a toast for what is new, and, where
// the reader asked for them, a sound and a notification of the system.
//
// They come with `mailweir:heard`, so a page that is kept still or paused rings as well. What this browser
// has told is kept in its storage, and tabs agree about it: the one that is seen goes first, the others find
// it told. A toast takes no focus and no click away; what it says is also on the page of alerts.

import { fill } from "./rows.js";
import { gettext, ngettext } from "./words.js";
import { isSoundOn, notify, ring } from "./ringing.js";

const KEY = "mailweir-alerts-told"; // keys of what was told, newest last
const MOST_KEPT = 300;
const MOST_TOASTS = 3;
const SHOWN_FOR = 20000; // ms; longer while the pointer or the focus is on it
const AFTER_YOU = { used: 0, seen: 250, hidden: 700 }; // ms that a tab leaves to those which are nearer to the reader

const byId = (id) => document.getElementById(id);

function stored() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(found) ? found : null;
  } catch {
    return null;
  }
}

const here = new Set(); // of this page, for a browser that forbids storage
let isFirst = true; // the first snapshot of this page

// Those of `alerts` that no tab has told yet; from now on they count as told.
function claim(alerts) {
  const before = stored();
  const known = new Set([...(before || []), ...here]);
  const fresh = alerts.filter((each) => !known.has(each.key));
  for (const each of alerts) here.add(each.key);
  if (fresh.length || !before) {
    try {
      localStorage.setItem(KEY, JSON.stringify([...(before || []), ...fresh.map((each) => each.key)].slice(-MOST_KEPT)));
    } catch {
      // then each page tells for itself
    }
  }
  // Who opens the page for the first time sees what there is; it is no news.
  return before || !isFirst ? fresh : [];
}

// One tab after another. Without locks (no HTTPS) two that hear at the same moment may both tell.
function claimed(alerts) {
  const act = () => claim(alerts);
  return navigator.locks ? navigator.locks.request(KEY, act) : Promise.resolve(act());
}

function nearness() {
  if (document.visibilityState !== "visible") return "hidden";
  return document.hasFocus() ? "used" : "seen";
}

async function tellNews(alerts) {
  const wait = AFTER_YOU[nearness()];
  if (wait) await new Promise((resolve) => { setTimeout(resolve, wait); });
  const fresh = await claimed(alerts);
  isFirst = false;
  if (!fresh.length) return;
  toast(fresh);
  if (isSoundOn()) ring(fresh.some((each) => each.severity === "critical"));
  if (!document.hasFocus()) notify(fresh);
}

// One for a cause: five hundred domains are one toast.
function causes(alerts) {
  const found = new Map();
  for (const each of alerts) if (!each.is_quiet && !found.has(each.key)) found.set(each.key, each);
  return [...found.values()];
}

function toast(fresh) {
  for (const each of fresh.slice(0, MOST_TOASTS)) show(each, each.told);
  const left = fresh.length - MOST_TOASTS;
  if (left > 0) show({ ...fresh[0], link: byId("toasts").dataset.all }, ngettext("%(n)s more alert", "%(n)s more alerts", left));
}

function show(alert, text) {
  const box = byId("toasts");
  const card = byId("toast").content.firstElementChild.cloneNode(true);
  card.dataset.severity = alert.severity;
  for (const each of card.querySelectorAll("[data-severity-icon]")) each.hidden = each.dataset.severityIcon !== alert.severity;
  fill(card, { ...alert, text });
  box.append(card);
  while (box.children.length > MOST_TOASTS + 1) box.firstElementChild.remove();
  const leave = () => {
    if (card.matches(":hover, :focus-within")) setTimeout(leave, 2000);
    else card.remove();
  };
  setTimeout(leave, SHOWN_FOR);
}

function setTitle(n) {
  const plain = document.title.replace(/^\(\d+\) /, "");
  const wanted = n ? `(${n}) ${plain}` : plain;
  if (document.title !== wanted) document.title = wanted;
}

function setCounts(n, isCritical) {
  for (const node of document.querySelectorAll("[data-alert-count]")) {
    node.hidden = n === 0;
    if (node.textContent !== String(n)) node.textContent = String(n);
    node.classList.toggle("is-critical", isCritical);
    const words = node.parentElement.querySelector("[data-alert-words]");
    if (words) words.textContent = n ? ngettext("%(n)s alert", "%(n)s alerts", n) : "";
  }
}

let last = null;

function hear(snapshot) {
  last = snapshot;
  const counts = snapshot.n_alerts || { firing: 0, critical: 0 };
  setTitle(counts.firing);
  setCounts(counts.firing, counts.critical > 0);
  tellNews(causes(snapshot.alerts || []));
}

export function start() {
  if (!byId("toasts")) return;
  document.addEventListener("mailweir:heard", ({ detail }) => hear(detail));
  // What htmx swaps in comes without its count.
  document.addEventListener("htmx:afterSwap", () => { if (last) setCounts(last.n_alerts.firing, last.n_alerts.critical > 0); });
  byId("toasts").addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast-alert").remove());
  byId("toasts").setAttribute("aria-label", gettext("Alerts"));
}
