// The socket of every page: receives snapshots, tells the page about them, says how fresh they are.
//
// A snapshot becomes the event `mailweir:snapshot` on document, and `mailweir:changed` on body for
// htmx. While paused, the newest is kept and told on resume. Lost connections come back with jitter,
// at once when the machine wakes or goes online; a connection that is silent for too long is dead.

import { clockTime, duration } from "./times.js";

const SILENT = 15000; // ms without a snapshot; the server sends at least one in five seconds
const FIRST = 500;
const LONGEST = 10000;
const NOBODY = 4401;

let socket = null;
let attempts = 0;
let retry = 0;
let heardAt = 0; // of the last snapshot
let lostAt = 0; // since when the figures are stale
let isPaused = false;
let waiting = null;
let isLive = true;

const part = (name) => document.querySelector(`[data-live-part="${name}"]`);

function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function state() {
  if (isPaused) return ["paused", "Paused"];
  if (lostAt) return ["lost", "Not live"];
  if (!heardAt) return ["connecting", "Connecting"];
  return isLive ? ["live", "Live"] : ["slow", "Every 2 s"];
}

function show() {
  const box = document.getElementById("live");
  if (!box) return;
  const [name, word] = state();
  box.dataset.liveState = name;
  box.title = isLive ? "" : "Redis is away: the database is asked every two seconds instead.";
  write(part("word"), word);
  write(part("age"), heardAt ? `updated ${duration((Date.now() - heardAt) / 1000)} ago` : "");
  const stale = document.getElementById("stale");
  stale.hidden = !lostAt || isPaused;
  if (lostAt) write(part("stale"), `Connection lost since ${clockTime(new Date(lostAt))}, figures are stale. Trying again.`);
}

function tell(snapshot) {
  document.dispatchEvent(new CustomEvent("mailweir:snapshot", { detail: snapshot }));
  document.body.dispatchEvent(new CustomEvent("mailweir:changed"));
}

function hear(text) {
  const snapshot = JSON.parse(text);
  heardAt = Date.now();
  lostAt = 0;
  attempts = 0;
  isLive = snapshot.is_live;
  if (isPaused) waiting = snapshot;
  else tell(snapshot);
  show();
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
  show();
}

function wake() {
  if (document.visibilityState !== "visible") return;
  if (socket?.readyState === WebSocket.OPEN && Date.now() - heardAt > SILENT) drop();
  connect();
}

function togglePause() {
  isPaused = !isPaused;
  const button = document.getElementById("pause");
  button.setAttribute("aria-pressed", String(isPaused));
  part("pause").hidden = isPaused;
  part("resume").hidden = !isPaused;
  button.title = isPaused ? "Resume live updates" : "Pause live updates";
  if (!isPaused && waiting) {
    tell(waiting);
    waiting = null;
  }
  show();
}

export function start() {
  if (!document.body.dataset.live) return;
  document.getElementById("pause").addEventListener("click", togglePause);
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", wake);
  window.addEventListener("offline", () => { drop(); comeBack(LONGEST); });
  setInterval(watch, 1000);
  connect();
}
