// The socket of every page: receives snapshots, tells the page about them, says how fresh they are.
//
// A snapshot becomes the event `mailweir:snapshot` on document, and `mailweir:changed` on body for htmx.
// While the reader has paused, chose "slower", or a hold is on (something is ticked, a dialog is open,
// text is selected: see still.js), the newest is kept and told when that ends. `mailweir:heard` tells
// each one at once, for what never waits: the progress of operations.
// Lost connections come back with jitter, at once when the machine wakes or goes online; a connection
// that is silent for too long is dead.

import { clockTime, duration } from "./times.js";
import { gettext } from "./words.js";

const SILENT = 15000; // ms without a snapshot; the server sends at least one in five seconds
const FIRST = 500;
const LONGEST = 10000;
const NOBODY = 4401;
const SLOWER = 10000; // ms between two snapshots that the page is told of, where the reader wants it calm
const KEY = "mailweir-live";

let socket = null;
let attempts = 0;
let retry = 0;
let heardAt = 0; // of the last snapshot
let toldAt = 0; // of the one that the page shows
let lostAt = 0; // since when the figures are stale
let waiting = null;
let isLive = true;
let mode = "live"; // live, slower, paused
let saidName = "";
const holds = new Map(); // name: what the reader is told

const part = (name) => document.querySelector(`[data-live-part="${name}"]`);

function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function state() {
  if (mode === "paused") return ["paused", gettext("Paused")];
  if (lostAt) return ["lost", gettext("Not live")];
  if (!heardAt) return ["connecting", gettext("Connecting")];
  if (holds.size) return ["still", gettext("Paused")];
  if (!isLive) return ["slow", gettext("Every 2 s")];
  return mode === "slower" ? ["live", gettext("Slower")] : ["live", gettext("Live")];
}

function age(name) {
  if (!toldAt) return "";
  const ago = duration((Date.now() - toldAt) / 1000);
  if (name !== "still") return gettext("updated %(ago)s ago", { ago });
  return gettext("%(why)s, %(ago)s old", { why: [...holds.values()][0], ago });
}

function title(name) {
  if (name === "slow") return gettext("Redis is away: the database is asked every two seconds instead.");
  if (name === "still") return gettext("Nothing moves under your hands. Updates go on when you are done.");
  return "";
}

function show() {
  const box = document.getElementById("live");
  if (!box) return;
  const [name, word] = state();
  if (saidName && saidName !== name) write(part("said"), word); // once a change, not each second
  saidName = name;
  box.dataset.liveState = name;
  box.title = title(name);
  write(part("word"), word);
  write(part("age"), age(name));
  const stale = document.getElementById("stale");
  stale.hidden = !lostAt || mode === "paused";
  if (lostAt) write(part("stale"), gettext("Connection lost since %(time)s, figures are stale. Trying again.", { time: clockTime(new Date(lostAt)) }));
}

function tell(snapshot) {
  waiting = null;
  toldAt = Date.now();
  document.dispatchEvent(new CustomEvent("mailweir:snapshot", { detail: snapshot }));
  document.body.dispatchEvent(new CustomEvent("mailweir:changed"));
}

// What waits is told as soon as nothing stands against it.
function tellWaiting() {
  const mustWait = mode === "paused" || holds.size > 0 || (mode === "slower" && Date.now() - toldAt < SLOWER);
  if (waiting && !mustWait) tell(waiting);
}

function hear(text) {
  const snapshot = JSON.parse(text);
  heardAt = Date.now();
  lostAt = 0;
  attempts = 0;
  isLive = snapshot.is_live;
  waiting = snapshot;
  document.dispatchEvent(new CustomEvent("mailweir:heard", { detail: snapshot }));
  tellWaiting();
  show();
}

// Keep the page still until `release(name)`; `text` says why in a word or two.
export function hold(name, text) {
  holds.set(name, text);
  show();
}

export function release(name) {
  if (!holds.delete(name)) return;
  tellWaiting();
  show();
}

export function isHeld() {
  return mode === "paused" || holds.size > 0;
}

function lose() {
  if (!lostAt) lostAt = heardAt || Date.now();
  show();
}

function comeBack(delay) {
  clearTimeout(retry);
  retry = setTimeout(connect, delay);
}

function connect() {
  clearTimeout(retry);
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  const mine = new WebSocket(new URL(document.body.dataset.live, location.href.replace(/^http/, "ws")));
  socket = mine;
  mine.addEventListener("message", (event) => {
    if (socket === mine) hear(event.data);
  });
  mine.addEventListener("close", (event) => {
    if (socket !== mine) return;
    socket = null;
    lose();
    if (event.code === NOBODY) {
      location.reload(); // the server asks for the log-in and brings the reader back here
      return;
    }
    const longest = Math.min(LONGEST, FIRST * 2 ** attempts++);
    comeBack(longest / 2 + (Math.random() * longest) / 2);
  });
}

function drop() {
  const old = socket;
  socket = null;
  old?.close();
  lose();
}

function watch() {
  if (socket?.readyState === WebSocket.OPEN && heardAt && Date.now() - heardAt > SILENT) {
    drop();
    connect();
  }
  tellWaiting();
  show();
}

function wake() {
  if (document.visibilityState !== "visible") return;
  if (socket?.readyState === WebSocket.OPEN && Date.now() - heardAt > SILENT) drop();
  connect();
}

function choose(chosen) {
  mode = chosen;
  try {
    // A pause ends with the page: nobody should read old figures tomorrow because of today.
    if (mode !== "paused") localStorage.setItem(KEY, mode);
  } catch {
    // storage may be forbidden: for this page only
  }
  drawModes();
  tellWaiting();
  show();
}

function drawModes() {
  const isPaused = mode === "paused";
  const button = document.getElementById("pause");
  button.setAttribute("aria-pressed", String(isPaused));
  button.title = isPaused ? gettext("Resume live updates") : gettext("Pause live updates");
  part("pause").hidden = isPaused;
  part("resume").hidden = !isPaused;
  for (const each of document.querySelectorAll("#live-modes [data-mode]")) each.setAttribute("aria-pressed", String(each.dataset.mode === mode));
}

function remembered() {
  try {
    return localStorage.getItem(KEY) === "slower" ? "slower" : "live";
  } catch {
    return "live";
  }
}

export function start() {
  if (!document.body.dataset.live) return;
  mode = remembered();
  drawModes();
  document.getElementById("pause").addEventListener("click", () => choose(mode === "paused" ? remembered() : "paused"));
  document.getElementById("live-modes").addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-mode]")?.dataset.mode;
    if (chosen) choose(chosen);
  });
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", wake);
  window.addEventListener("offline", () => { drop(); comeBack(LONGEST); });
  setInterval(watch, 1000);
  connect();
}
