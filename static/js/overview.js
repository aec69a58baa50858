// Keeps the overview in step with the snapshots of the socket.

import { Hour } from "./hour.js";
import { Rows, fill } from "./rows.js";
import { duration, grouped } from "./times.js";

const LISTS = { domains: "id", latest: "id", runners: "id", parts: "name" };
const byId = (id) => document.getElementById(id);

function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

function drawHeadline(line) {
  const box = byId("headline");
  if (box.contains(document.activeElement) && box.querySelector("a").getAttribute("href") !== line.url) return;
  box.dataset.level = line.level;
  for (const each of box.querySelectorAll("[data-level-icon]")) each.hidden = each.dataset.levelIcon !== line.level;
  fill(box, line);
  box.querySelector("[data-part='since']").hidden = !line.since;
  box.querySelector("a").hidden = !line.url;
}

function drawNumbers(snapshot) {
  for (const node of document.querySelectorAll("[data-depth]")) setText(node, grouped(snapshot.depth[node.dataset.depth] || 0));
  for (const node of document.querySelectorAll("[data-rate]")) setText(node, grouped(snapshot.rates[node.dataset.rate] || 0));
  setText(document.querySelector("[data-oldest]"), duration(snapshot.oldest_due_s));
  setText(document.querySelector("[data-count='runners']"), String(snapshot.runners.length));
}

function drawParts(snapshot) {
  const isEmpty = Object.values(snapshot.depth).every((n) => n === 0);
  document.querySelector("[data-when='empty']").hidden = !isEmpty;
  document.querySelector("[data-when='filled']").hidden = isEmpty;
  document.querySelector("[data-part='parts']").hidden = snapshot.parts.length === 0;
}

const hour = new Hour(byId("hour-chart"), byId("hour-table"));
hour.draw(JSON.parse(byId("hour-data").textContent));
const lists = Object.entries(LISTS).map(([id, key]) => [id, new Rows(byId(id), key)]);

document.addEventListener("mailweir:snapshot", ({ detail: snapshot }) => {
  drawHeadline(snapshot.headline);
  drawNumbers(snapshot);
  drawParts(snapshot);
  for (const [id, rows] of lists) rows.update(snapshot[id]);
  hour.draw(snapshot.hour);
});
