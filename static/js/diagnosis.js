// The pages of causes: forms in a dialog, and the newest look as soon as nothing stands against it.

import { put } from "./fresh.js";
import * as sheet from "./sheet.js";

const OFTEN = 10000;
const box = document.getElementById("diagnosis");
let loadedAt = Date.now();

function isBusy() {
  const selected = window.getSelection();
  return box.contains(document.activeElement) || (selected && !selected.isCollapsed) || document.querySelector("dialog[open]");
}

async function load() {
  loadedAt = Date.now();
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return;
  const made = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("diagnosis");
  if (made && !isBusy()) put(box, made);
}

if (document.getElementById("sheet")) sheet.start();
document.addEventListener("mailweir:snapshot", () => {
  if (Date.now() - loadedAt < OFTEN || document.visibilityState !== "visible" || isBusy()) return;
  load().catch(() => {});
});
document.addEventListener("mailweir:acted", () => location.reload());
