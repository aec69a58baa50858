// The page of one domain or site: draws its pictures and charts, and loads it anew when something was done.

import { Charts } from "./chart.js";
import * as sheet from "./sheet.js";
import { drawStrip } from "./strip.js";

const OFTEN = 10000;
let loadedAt = Date.now();

for (const node of document.querySelectorAll("[data-strip]")) drawStrip(node, node.dataset.strip);
sheet.start();
const charts = new Charts(document.getElementById("charts"));
charts.load();
document.addEventListener("mailweir:snapshot", () => {
  if (Date.now() - loadedAt < OFTEN || document.visibilityState !== "visible") return;
  loadedAt = Date.now();
  charts.load();
});
document.addEventListener("mailweir:acted", () => location.reload());
