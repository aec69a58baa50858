// Keeps the overview in step with the snapshots of the socket.

import { Charts } from "./chart.js";
import { Rows, fill } from "./rows.js";
import { duration, grouped } from "./times.js";

const LISTS = { domains: "id", latest: "id", runners: "id", parts: "name", "alert-rows": "key" };
const byId = (id) => document.getElementById(id);

function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

function drawHeadline(line) {
  const box = byId("headline");
  const act = box.querySelector("a[data-act]");
  const more = box.querySelector("a[data-more]");
  // A button that somebody is about to press does not become another one.
  const isOther = (link, url) => link === document.activeElement && link.getAttribute("href") !== url;
  if (isOther(act, line.act_url) || isOther(more, line.url)) return;
  box.dataset.level = line.level;
  for (const each of box.querySelectorAll("[data-level-icon]")) each.hidden = each.dataset.levelIcon !== line.level;
  fill(box, line);
  box.querySelector("[data-part='since']").hidden = !line.since;
  act.hidden = !line.act_url;
  more.hidden = !line.url;
}

// The block is shown while something is stuck, or while nobody looks.
function drawWhy(why) {
  const box = byId("why");
  box.hidden = why.is_flowing && !why.is_stale;
  fill(box, { looked_at: why.looked_at, n_more: why.n_more });
  box.querySelector("[data-part='looked']").hidden = why.is_stale || !why.looked_at;
  box.querySelector("[data-part='stale']").hidden = !why.is_stale;
  box.querySelector("[data-part='more']").hidden = !why.n_more;
  causes.update(why.causes);
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
  const nAlerts = snapshot.n_alerts.firing;
  setText(document.querySelector("[data-count='alerts']"), nAlerts ? `${nAlerts} open` : "none open");
  const open = snapshot.depth.queued + snapshot.depth.sending + snapshot.depth.deferred + snapshot.depth.held;
  setText(document.querySelector("[data-count='open']"), grouped(open));
}

function drawDrain(drain) {
  const box = byId("drain");
  box.dataset.trend = drain.trend;
  fill(box, drain);
}

// The hour comes with each snapshot; longer spans are asked for, and once a minute anew.
const STALE = 60000;
const charts = new Charts(byId("hour"));
let loadedAt = 0;

function drawHour(hour) {
  if (charts.span === "hour") charts.draw({ ...hour, step: 60, sums: sumsOf(hour) });
  else if (Date.now() - loadedAt > STALE) {
    loadedAt = Date.now();
    charts.load();
  }
}

function sumsOf(hour) {
  const lists = Object.entries(hour).filter(([, values]) => Array.isArray(values));
  return Object.fromEntries(lists.map(([metric, values]) => [metric, values.reduce((sum, n) => sum + n, 0)]));
}

drawHour(JSON.parse(byId("hour-data").textContent));
const causes = new Rows(byId("why-causes"), "cause");
const lists = Object.entries(LISTS).map(([id, key]) => [id, new Rows(byId(id), key)]);

document.addEventListener("mailweir:snapshot", ({ detail: snapshot }) => {
  drawHeadline(snapshot.headline);
  drawWhy(snapshot.why);
  drawDrain(snapshot.drain);
  drawNumbers(snapshot);
  drawParts(snapshot);
  for (const [id, rows] of lists) rows.update(id === "alert-rows" ? snapshot.strip : snapshot[id]);
  byId("alert-strip").hidden = snapshot.strip.length === 0;
  drawHour(snapshot.hour);
});
