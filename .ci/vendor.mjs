// Copies the front-end files that pages load from node_modules/ to static/vendor/, and nothing else.
// Called by .ci/prepare.py after `npm ci`. A file that is missing stops it: a package changed its layout.

import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = path.join(root, "node_modules");
const vendor = path.join(root, "static", "vendor");

const FILES = [
  "bootstrap/dist/css/bootstrap.min.css",
  "bootstrap/dist/js/bootstrap.bundle.min.js",
  "chart.js/dist/chart.umd.min.js",
  "htmx.org/dist/htmx.min.js",
  "idiomorph/dist/idiomorph-ext.min.js",
];

// Bootstrap Icons that pages use, as one file: <svg><use href="{% static 'vendor/icons.svg' %}#NAME"/></svg>.
const ICONS = [
  "activity", "arrow-clockwise", "arrow-counterclockwise", "arrow-down", "arrow-right", "arrow-up",
  "bell", "box-arrow-right", "broadcast", "bug", "calendar-event", "check-circle", "check-lg",
  "chevron-down", "chevron-left", "chevron-right", "chevron-up", "circle", "circle-half", "clipboard",
  "clock", "clock-history", "code-slash", "cpu", "database", "dash-circle", "download", "envelope",
  "envelope-check", "envelope-open", "envelope-x", "exclamation-circle", "exclamation-triangle", "eye",
  "file-earmark", "file-text", "filter", "funnel", "gear", "globe", "graph-up", "hand-index-thumb",
  "hdd-network", "hourglass-split", "inbox", "info-circle", "key", "lightning-charge", "link-45deg",
  "list", "lock", "moon-stars", "paperclip", "pause-circle", "people", "person", "play-circle", "plus-lg",
  "question-circle", "reply", "search", "send", "shield-check", "shield-exclamation", "shield-x",
  "signpost-split", "skip-forward", "slash-circle", "speedometer2", "stop-circle", "sun", "tag",
  "terminal", "trash", "wifi", "wifi-off", "x-circle", "x-lg",
];

// Served files name no source maps: those aren't copied, and a manifest of static files would miss them.
const withoutSourceMap = (text) => text.replace(/\n?(?:\/\/|\/\*)# sourceMappingURL=.*$/gm, "");

async function symbol(name) {
  const svg = await readFile(path.join(modules, "bootstrap-icons", "icons", `${name}.svg`), "utf8");
  const inside = svg.match(/<svg[^>]*>([\s\S]*)<\/svg>/)[1].trim();
  return `<symbol id="${name}" viewBox="0 0 16 16" fill="currentColor">${inside}</symbol>`;
}

await rm(vendor, { recursive: true, force: true });
await mkdir(vendor, { recursive: true });
for (const file of FILES) {
  const text = await readFile(path.join(modules, file), "utf8");
  await writeFile(path.join(vendor, path.basename(file)), withoutSourceMap(text));
}
for (const name of ["bootstrap", "bootstrap-icons", "chart.js"]) {
  const license = name === "chart.js" ? "LICENSE.md" : "LICENSE";
  await cp(path.join(modules, name, license), path.join(vendor, `${name}.LICENSE.txt`));
}
const symbols = await Promise.all(ICONS.map(symbol));
await writeFile(
  path.join(vendor, "icons.svg"),
  `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`,
);
