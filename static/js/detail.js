// The page of one domain or site, kept in step: charts are asked for again, and what the server wrote is
// asked for as a whole and changed in place, at most each five seconds, sooner after something was done here.
//
// A part that is in use waits: one with the focus in it, or with a link, button or row under the pointer.
// Text that is selected and dialogs keep the whole page still (still.js).

import { Charts } from "./chart.js";
import { drawStrips, put } from "./fresh.js";
import * as live from "./live.js";
import * as sheet from "./sheet.js";

const OFTEN = 5000;
const CHARTS_EACH = 10000;
let askedAt = Date.now();
let chartsAt = Date.now();
let isAsking = false;
let mustAgain = false; // something was done while an answer from before was on its way

const parts = (root) => new Map([...root.querySelectorAll("[data-fresh]")].map((part) => [part.dataset.fresh, part]));
const isInUse = (part) => part.contains(document.activeElement) || part.querySelector(":is(a, button, tr):hover") !== null;

function putAll(fresh, isAll) {
  for (const [name, part] of parts(document)) {
    const newer = fresh.get(name);
    if (newer && (isAll || !isInUse(part))) put(part, newer);
  }
}

async function renew(isAll = false) {
  if (isAsking) {
    mustAgain ||= isAll;
    return;
  }
  isAsking = true;
  askedAt = Date.now();
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) return;
    const made = new DOMParser().parseFromString(await response.text(), "text/html");
    if (isAll || !live.isHeld()) putAll(parts(made), isAll);
  } catch {
    // the socket says that the connection is lost
  } finally {
    isAsking = false;
  }
  if (!mustAgain) return;
  mustAgain = false;
  renew(true);
}

function renewCharts() {
  chartsAt = Date.now();
  charts.load();
}

drawStrips();
sheet.start();
const charts = new Charts(document.getElementById("charts"));
charts.load();
document.addEventListener("mailweir:snapshot", () => {
  if (document.visibilityState !== "visible") return;
  if (Date.now() - askedAt > OFTEN) renew();
  if (Date.now() - chartsAt > CHARTS_EACH) renewCharts();
});
// The dialog gives the focus back to the link that opened it: what was done is shown all the same.
document.addEventListener("mailweir:acted", () => renew(true));
