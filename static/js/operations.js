// The strip of operations: what is under way, how fast, how long yet, and cancel; then the result and undo.
//
// Progress is never held back: it moves while the page is kept still. What runs is shown to everyone;
// what ended stays for whoever saw it run, until it is dismissed. Nothing here is a source of truth: after
// a reload the socket tells again what runs.

import { post } from "./ask.js";
import { title } from "./op-words.js";
import { fill } from "./rows.js";
import { countdown, duration, grouped } from "./times.js";
import { gettext, ngettext } from "./words.js";

const KEY = "mailweir-operations"; // ids that this tab dismissed
const MOST_ENDED = 4; // a tab that is open for a week must not gather a week of cards
const known = new Map(); // id: the newest that was told
const cards = new Map();

const box = () => document.getElementById("operations");

function dismissed() {
  try {
    return new Set(JSON.parse(sessionStorage.getItem(KEY) || "[]"));
  } catch {
    return new Set();
  }
}

const gone = dismissed();

function drop(id) {
  cards.get(id)?.remove();
  cards.delete(id);
  known.delete(id);
  box().hidden = cards.size === 0;
}

function dismiss(id) {
  gone.add(id);
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...gone].slice(-100)));
  } catch {
    // storage may be forbidden: it comes back with the next page
  }
  drop(id);
}

const isOpen = (operation) => operation.state === "waiting" || operation.state === "running";

function figures(each) {
  const n = each.done + each.skipped + each.failed;
  if (each.state === "waiting") return gettext("Waits for a worker");
  if (each.state === "running") {
    const parts = [gettext("%(n)s of %(all)s", { n: grouped(n), all: grouped(each.matched) })];
    if (each.rate_per_s) parts.push(gettext("%(n)s a second", { n: grouped(Math.round(each.rate_per_s)) }));
    if (each.left_s !== null && each.left_s !== undefined) parts.push(gettext("%(time)s left", { time: duration(each.left_s) }));
    return parts.join(" · ");
  }
  const words = { done: gettext("Done"), cancelled: gettext("Cancelled"), failed: gettext("Failed"), undone: gettext("Undone") };
  const parts = [words[each.state] || each.state, ngettext("%(n)s done", "%(n)s done", each.done)];
  if (each.skipped) parts.push(ngettext("%(n)s left alone", "%(n)s left alone", each.skipped));
  if (each.failed) parts.push(ngettext("%(n)s failed", "%(n)s failed", each.failed));
  return parts.join(" · ");
}

function undoText(each) {
  const left = each.undo_until ? (new Date(each.undo_until).getTime() - Date.now()) / 1000 : null;
  return left === null ? gettext("Undo") : gettext("Undo (%(time)s left)", { time: countdown(left) });
}

function draw(each) {
  let card = cards.get(each.id);
  if (!card) {
    card = document.getElementById("operation-card").content.firstElementChild.cloneNode(true);
    card.dataset.id = each.id;
    cards.set(each.id, card);
    box().prepend(card);
    box().hidden = false;
  }
  card.dataset.state = each.state;
  const all = each.matched || 1;
  const bar = card.querySelector("progress");
  bar.max = all;
  if (each.state === "waiting") bar.removeAttribute("value");
  else bar.value = isOpen(each) ? each.done + each.skipped + each.failed : all;
  const url = box().dataset.url.replace("/0", `/${each.id}`);
  fill(card, { ...each, url, title: title(each), figures: figures(each), undo: undoText(each) });
}

function say(text) {
  document.getElementById("operations-said").textContent = text;
}

function ended(each) {
  say(`${title(each)}: ${figures(each)}`);
  document.dispatchEvent(new CustomEvent("mailweir:ended", { detail: each }));
  // The oldest of what is over goes: its page keeps what came of it.
  const over = [...known.values()].filter((other) => !isOpen(other) && !cards.get(other.id)?.contains(document.activeElement));
  for (const other of over.slice(0, -MOST_ENDED)) drop(other.id);
}

function hear(operations) {
  for (const each of operations) {
    const before = known.get(each.id);
    if (gone.has(each.id) || (!before && !isOpen(each))) continue;
    known.set(each.id, each);
    draw(each);
    if (before && isOpen(before) && !isOpen(each)) ended(each);
  }
}

async function act(verb, id, button) {
  if (button.getAttribute("aria-disabled") === "true") return; // a second click
  button.setAttribute("aria-disabled", "true");
  try {
    const answer = await post(`${box().dataset.api}/${id}/${verb}`, "");
    if (answer.status >= 300) say(answer.json?.detail || gettext("That could not be done."));
    else if (verb === "undo") started(answer.json);
  } catch {
    say(gettext("The server was not reached."));
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

// One that was started here is known before the socket tells.
function started(operation) {
  hear([{ state: "waiting", done: 0, skipped: 0, failed: 0, matched: 0, can_cancel: false, can_undo: false, ...operation }]);
  say(gettext("Started: %(what)s", { what: title(operation) }));
}

export function start() {
  if (!box()) return;
  document.addEventListener("mailweir:heard", ({ detail }) => hear(detail.operations || []));
  document.addEventListener("mailweir:started", ({ detail }) => started(detail));
  box().addEventListener("click", (event) => {
    const button = event.target.closest("[data-op]");
    if (!button) return;
    const id = Number(button.closest("[data-id]").dataset.id);
    if (button.dataset.op === "dismiss") dismiss(id);
    else act(button.dataset.op, id, button);
  });
  setInterval(() => { for (const each of known.values()) if (each.can_undo) draw(each); }, 30000);
}
