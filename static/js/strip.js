// The last outcomes and the ages of what waits, drawn small. Heights differ as well as colours, and the
// text beside says the same: a picture is never the only way to know.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHTS = { d: 6, w: 10, b: 14 };
const KINDS = { d: "delivered", w: "deferred", b: "bounced" };
const AGES = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

function picture(width, height) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "xMinYMax meet");
  svg.setAttribute("class", "bars");
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

function bar(svg, x, width, height, whole, kind) {
  const rect = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ x, y: whole - height, width, height, rx: 0.5, class: `bar-${kind}` })) rect.setAttribute(name, value);
  svg.append(rect);
}

export function drawStrip(node, outcomes) {
  if (node.drawn === outcomes) return;
  node.drawn = outcomes;
  const svg = picture(50 * 3, 14);
  [...outcomes].forEach((letter, place) => bar(svg, place * 3, 2.25, HEIGHTS[letter] || 2, 14, KINDS[letter] || "none"));
  node.replaceChildren(...(outcomes ? [svg] : []));
}

export function agesText(ages) {
  const last = ages.findLastIndex((n) => n > 0);
  if (last < 0) return "";
  const minutes = last ? AGES[last - 1] : 0;
  const words = minutes >= 60 ? `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}` : `${minutes} min`;
  return last ? `oldest over ${words}` : "all under 5 min";
}

export function drawAges(node, ages) {
  const text = ages.join(" ");
  if (node.drawn === text) return;
  node.drawn = text;
  const most = Math.max(...ages, 1);
  const svg = picture(10 * 9, 20);
  ages.forEach((n, place) => {
    // What is there is always seen, be it one beside a million.
    const height = n ? Math.max(3, (20 * Math.log1p(n)) / Math.log1p(most)) : 1;
    bar(svg, place * 9, 7.5, height, 20, n ? (place > 4 ? "old" : "young") : "none");
  });
  node.replaceChildren(...(ages.length ? [svg] : []));
}
