// The list of deliveries, live: rows change in place and never move, come or go by themselves.
//
// Only what is in view is asked for, at most once a second and never before the answer to the last time,
// so that two hundred changes a second cost the reader and the server the same as one. A row that is gone
// says so and stays. What is new waits behind "37 new, show".

import * as ask from "./ask.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import { Selection } from "./select.js";
import { drawAll, grouped } from "./times.js";
import { gettext, ngettext } from "./words.js";

const FINAL = new Set(["delivered", "bounced", "expired", "deleted", "gone"]);
const FINAL_EACH = 15000; // ms: what is over changes only by somebody's hand
const NEW_EACH = 3000;
const MOST = 100; // rows in one request

const results = () => document.getElementById("results");
const inView = new Set();
const drawn = new Map(); // id: the row as the server last wrote it
let busyUntil = 0;
let finalAt = 0;
let newAt = 0;
let isAsking = false;

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inView.add(target);
    else inView.delete(target);
  }
}, { rootMargin: "200px 0px" });

function watchRows() {
  watcher.disconnect();
  inView.clear();
  drawn.clear();
  for (const row of results().querySelectorAll("tr[data-id]")) watcher.observe(row);
}

// The row's own boxes and times belong to the reader: ticks stay, and a time is not written in UTC again.
const callbacks = {
  beforeNodeMorphed: (from, to) => {
    if (from instanceof HTMLInputElement) return false;
    return !(from.tagName === "TIME" && from.dateTime === to.dateTime && from.dataset.form === to.dataset.form);
  },
  beforeAttributeUpdated: (name, node) => !(node.tagName === "TR" && name === "tabindex"),
};

function put(fresh) {
  const row = document.getElementById(fresh.id);
  const text = fresh.outerHTML;
  if (!row || drawn.get(fresh.id) === text) return;
  drawn.set(fresh.id, text);
  const isTicked = row.classList.contains("is-ticked");
  window.Idiomorph.morph(row, fresh, { callbacks });
  row.classList.toggle("is-ticked", isTicked);
  drawAll(row);
}

async function text(url) {
  const response = await fetch(url, { credentials: "same-origin", headers: { "X-Requested-With": "fetch" } });
  if (!response.ok || response.redirected) throw new Error(String(response.status));
  return response.text();
}

async function renew(rows) {
  const ids = rows.map((row) => row.dataset.id);
  for (let from = 0; from < ids.length; from += MOST) {
    const holder = document.createElement("template");
    holder.innerHTML = await text(`${main.dataset.rowsUrl}?ids=${ids.slice(from, from + MOST).join(",")}`);
    for (const fresh of [...holder.content.querySelectorAll("tr[data-id]")]) put(fresh);
  }
}

function newest() {
  return Math.max(0, ...[...results().querySelectorAll("tr[data-id]")].map((row) => Number(row.dataset.id)));
}

// Only the first page of the newest first can have something new in front of it.
async function countNew() {
  const list = results();
  const offer = document.getElementById("offer");
  if (!list.dataset.exact || new URLSearchParams(location.search).has("cursor")) {
    offer.hidden = true;
    return;
  }
  const asked = new URLSearchParams({ q: list.dataset.q, after: String(newest()) });
  const { n, is_exact: isExact } = JSON.parse(await text(`${main.dataset.newUrl}?${asked}`));
  if (list !== results()) return;
  offer.hidden = n === 0;
  const words = isExact ? ngettext("%(n)s new, show", "%(n)s new, show", n) : gettext("more than %(n)s new, show", { n: grouped(n) });
  const place = offer.querySelector("span");
  if (place.textContent !== words) place.textContent = words;
}

async function follow() {
  const now = Date.now();
  if (isAsking || now < busyUntil || live.isHeld() || document.hidden || !results()) return;
  isAsking = true;
  const withFinal = now - finalAt > FINAL_EACH;
  const rows = [...inView].filter((row) => row.isConnected && (withFinal || !FINAL.has(row.dataset.state)));
  try {
    if (rows.length) await renew(rows);
    if (withFinal) finalAt = now;
    if (now - newAt > NEW_EACH) {
      newAt = now;
      await countNew();
    }
  } catch {
    // the socket says that the page is stale; the next snapshot tries again
  } finally {
    const took = Date.now() - now;
    busyUntil = Date.now() + Math.max(900, took * 4); // a server that is slow is left more room
    isAsking = false;
  }
}

function renewAll() {
  finalAt = 0;
  busyUntil = 0;
  setTimeout(follow, 50);
}

function showNew() {
  const url = new URL(location.href);
  url.searchParams.delete("cursor");
  document.getElementById("offer").hidden = true;
  window.htmx.ajax("GET", url.pathname + url.search, { target: "#results", swap: "outerHTML" });
}

const main = document.getElementById("list");
const selection = new Selection(document.getElementById("main"), document.getElementById("bar"));
ask.start(selection);
watchRows();
document.addEventListener("htmx:afterSwap", () => { if (results()) watchRows(); });
document.addEventListener("mailweir:snapshot", follow);
document.addEventListener("mailweir:ended", renewAll);
document.getElementById("offer").addEventListener("click", showNew);

// The link gets its search when it is used; a download leaves the page as it is.
document.getElementById("bar").addEventListener("click", (event) => {
  const link = event.target.closest("[data-export]");
  if (!link) return;
  const url = new URL(link.href);
  url.searchParams.set("q", selection.search);
  link.href = url;
});

const target = (row) => (selection.n ? selection.target : row ? { ids: [row.dataset.id] } : null);
const act = (action) => () => {
  const found = target(keys.row());
  // What the bar does not offer, the role may not do.
  const isOffered = document.querySelector(`#bar [data-action='${action}']`) !== null;
  if (found && isOffered) ask.ask(action, found);
};
keys.on("r", act("retry"));
keys.on("h", act("hold"));
keys.on("x", () => { if (keys.row()) selection.toggle(keys.row()); });
keys.on("Escape", () => { if (selection.n) selection.clear(); });
