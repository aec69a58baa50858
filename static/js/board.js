// Keeps the board in step: asks for its rows again when the socket says that something changed, at most
// every two seconds, and never while the page is hidden or paused. Rows (rows.js) moves none that is in use.

import { Rows } from "./rows.js";
import * as sheet from "./sheet.js";
import { agesText, drawAges, drawStrip } from "./strip.js";
import { grouped, took } from "./times.js";

const OFTEN = 2000;
const body = document.getElementById("board");
const url = document.getElementById("board-live").dataset.rowsUrl;
const AGES = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

function write(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

function numbers(text) {
  return text ? text.split(" ").map(Number) : [];
}

// The list behind one number of the shape.
function listOf(row, place) {
  const link = row.querySelector("[data-href='open_url']")?.getAttribute("href");
  if (!link) return "";
  const asked = new URL(link, location.href);
  const older = place ? ` age>${AGES[place - 1]}m` : "";
  const younger = place < AGES.length ? ` age<${AGES[place]}m` : "";
  const search = asked.searchParams.get("q").replace(" state:sending", "").replace(" state:held", "");
  asked.searchParams.set("q", search + older + younger);
  return asked.pathname + asked.search;
}

function drawCell(cell, row, n) {
  if (cell.drawn === n) return;
  cell.drawn = n;
  cell.classList.toggle("is-none", !n);
  if (!n) {
    cell.textContent = n === 0 ? "0" : "–";
    return;
  }
  const link = document.createElement("a");
  link.href = listOf(row, Number(cell.dataset.age));
  link.textContent = grouped(n);
  cell.replaceChildren(link);
}

function drawRow(row, values) {
  const strip = row.querySelector("[data-strip]");
  if (strip) drawStrip(strip, values ? values.outcomes : strip.dataset.strip);
  const holder = row.matches("[data-ages]") ? row : row.querySelector("[data-ages]");
  const ages = values ? values.ages || [] : numbers(holder.dataset.ages);
  if (holder !== row) {
    drawAges(holder, ages);
    write(row.querySelector("[data-part='ages-text']"), ages.length ? agesText(ages) : "being counted");
  }
  for (const cell of row.querySelectorAll("[data-age]")) drawCell(cell, row, ages[Number(cell.dataset.age)]);
  if (!values) return;
  const has = values.median_s !== null;
  write(row.querySelector("[data-part='times']"), has ? `median ${took(values.median_s)} · 95 % in ${took(values.p95_s)}` : "");
  const sessions = values.sessions === null ? "–" : values.sessions;
  write(row.querySelector("[data-part='sessions']"), values.max_sessions ? `${sessions} of ${values.max_sessions}` : "–");
}

function drawAll(values = null) {
  const known = values && new Map(values.map((each) => [String(each.id), each]));
  for (const row of body.children) {
    const own = known?.get(row.dataset.key);
    if (!known || own) drawRow(row, own);
  }
}

let rows = null;
let isAsking = false;
let askedAt = 0;
let later = 0;

async function ask() {
  clearTimeout(later);
  const wait = askedAt + OFTEN - Date.now();
  if (isAsking || wait > 0) {
    later = setTimeout(ask, Math.max(wait, 200));
    return;
  }
  if (document.visibilityState !== "visible") return;
  isAsking = true;
  askedAt = Date.now();
  try {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    if (!response.ok) return;
    const found = await response.json();
    rows.update(found.rows);
    drawAll(found.rows);
    write(document.querySelector("[data-board-count]"), grouped(found.count));
  } catch {
    // The socket says that the connection is lost; the next word from it asks again.
  } finally {
    isAsking = false;
  }
}

sheet.start();
if (body) {
  drawAll();
  rows = new Rows(body, "id");
  const order = () => rows.waiting && drawAll(rows.waiting);
  body.addEventListener("pointerleave", () => setTimeout(order));
  body.addEventListener("focusout", () => setTimeout(order, 10));
  document.addEventListener("mailweir:snapshot", ask);
  document.addEventListener("mailweir:acted", () => { askedAt = 0; ask(); });
  document.querySelector(".board-bar").addEventListener("change", (event) => {
    if (event.target.matches("select")) event.target.form.requestSubmit();
  });
}
