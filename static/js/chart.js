// Charts over a chosen time, with the table behind each: counts, times to deliver, classes of replies.
// Redrawn in place, without motion. Colour never alone: lines differ in dashes and points, bars in their
// place, and every figure stands in a table.

import { clockTime, grouped, took } from "./times.js";

const METRICS = ["accepted", "delivered", "deferred", "bounced"];
const LINES = { median: { name: "--mw-delivered", dash: [], point: "circle" }, p95: { name: "--mw-deferred", dash: [5, 3], point: "triangle" } };
const WORDS = { median: "median", p95: "95 % within" };
const dayAndTime = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function moments(start, step, n) {
  const begin = new Date(start).getTime();
  return Array.from({ length: n }, (_, place) => new Date(begin + place * step * 1000));
}

function label(date, step) {
  if (step >= 86400) return day.format(date);
  return step >= 7200 ? dayAndTime.format(date) : clockTime(date).slice(0, 5);
}

function countSet(metric) {
  const isLine = metric === "accepted";
  const shared = { label: metric, data: [], order: isLine ? 0 : 1 };
  if (isLine) return { ...shared, type: "line", borderWidth: 1.75, borderDash: [5, 3], pointRadius: 0, pointHitRadius: 8, tension: 0.25 };
  return { ...shared, type: "bar", stack: "outcomes", barPercentage: 1, categoryPercentage: 0.82, borderRadius: 1.5 };
}

function timeSet(line) {
  const { dash, point } = LINES[line];
  return { type: "line", label: WORDS[line], key: line, data: [], borderWidth: 1.75, borderDash: dash, pointStyle: point, pointRadius: 3, pointHitRadius: 8, spanGaps: false };
}

function options(said, ticks = {}) {
  return {
    animation: false,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    layout: { padding: { top: 4 } },
    scales: {
      x: { stacked: true, grid: { display: false }, border: {}, ticks: { maxRotation: 0, autoSkip: true, maxTicksLimit: 7 } },
      y: { stacked: false, beginAtZero: true, border: { display: false }, grid: {}, ticks: { maxTicksLimit: 5, ...ticks } },
    },
    plugins: { legend: { display: false }, tooltip: { boxPadding: 4, callbacks: { label: (item) => ` ${item.dataset.label}: ${said(item.raw)}` } } },
  };
}

function paint(chart, name) {
  for (const each of chart.data.datasets) {
    const found = colour(name(each));
    each.backgroundColor = found;
    each.borderColor = found;
  }
  const { x, y } = chart.options.scales;
  const font = { family: getComputedStyle(document.body).fontFamily, size: 11 };
  x.ticks.font = y.ticks.font = font;
  x.ticks.color = y.ticks.color = colour("--mw-quiet");
  y.grid.color = x.border.color = colour("--bs-border-color");
}

function cells(head, values) {
  const row = document.createElement("tr");
  const first = document.createElement("th");
  first.scope = "row";
  first.textContent = head;
  row.append(first, ...values.map((value) => {
    const cell = document.createElement("td");
    cell.textContent = value;
    return cell;
  }));
  return row;
}

function fillTable(body, rows) {
  // A table that nobody has opened costs nothing.
  if (body.closest("details").open) body.replaceChildren(...rows().reverse());
}

export class Charts {
  constructor(box) {
    this.box = box;
    this.url = new URL(box.dataset.url, location.href);
    this.span = "hour";
    const { Chart } = window;
    const counts = options(grouped, { precision: 0 });
    counts.scales.y.stacked = true;
    counts.scales.y.suggestedMax = 4;
    this.counts = new Chart(this.part("counts-chart"), { type: "bar", data: { labels: [], datasets: METRICS.map(countSet) }, options: counts });
    this.times = this.part("times-chart") && new Chart(this.part("times-chart"), {
      type: "line",
      data: { labels: [], datasets: Object.keys(LINES).map(timeSet) },
      options: options(took, { callback: (value) => took(value) }),
    });
    this.paint();
    document.addEventListener("mailweir:theme", () => { this.paint(); this.counts.update(); this.times?.update(); });
    for (const button of box.querySelectorAll("[data-span]")) button.addEventListener("click", () => this.choose(button.dataset.span));
    for (const each of box.querySelectorAll("details")) each.addEventListener("toggle", () => this.found && this.tables());
  }

  part(name) {
    return this.box.querySelector(`[data-chart="${name}"]`);
  }

  paint() {
    paint(this.counts, (each) => `--mw-${each.label}`);
    if (this.times) paint(this.times, (each) => LINES[each.key].name);
  }

  choose(span) {
    this.span = span;
    for (const each of this.box.querySelectorAll("[data-span]")) each.setAttribute("aria-pressed", String(each.dataset.span === span));
    return this.load();
  }

  async load() {
    const span = this.span;
    this.url.searchParams.set("span", span);
    try {
      const response = await fetch(this.url, { headers: { Accept: "application/json" } });
      // Who has chosen another span meanwhile does not want this one.
      if (response.ok && !response.redirected && span === this.span) this.draw(await response.json());
    } catch {
      // The top of the page says that the connection is lost.
    }
  }

  draw(found) {
    const text = JSON.stringify(found);
    if (text === this.drawn) return;
    this.drawn = text;
    this.found = found;
    this.counts.data.labels = moments(found.start, found.step, found.delivered.length).map((each) => label(each, found.step));
    for (const each of this.counts.data.datasets) each.data = found[each.label];
    this.counts.update();
    if (this.times) {
      const { start, step, median } = found.times;
      this.times.data.labels = moments(start, step, median.length).map((each) => label(each, step));
      for (const each of this.times.data.datasets) each.data = found.times[each.key];
      this.times.update();
    }
    for (const node of this.box.querySelectorAll("[data-sum]")) node.textContent = grouped(found.sums[node.dataset.sum]);
    this.tables();
    this.classes();
  }

  tables() {
    const { found } = this;
    fillTable(this.part("counts-table"), () => moments(found.start, found.step, found.delivered.length)
      .map((at, place) => cells(label(at, found.step), METRICS.map((metric) => grouped(found[metric][place])))));
    if (!this.times) return;
    const { start, step, median, p95 } = found.times;
    fillTable(this.part("times-table"), () => moments(start, step, median.length)
      .map((at, place) => cells(label(at, step), [median, p95].map((each) => took(each[place])))));
  }

  classes() {
    const body = this.part("classes");
    if (!body) return;
    const all = this.found.classes.reduce((sum, each) => sum + each.n, 0);
    body.replaceChildren(...this.found.classes.map((each) => {
      const row = cells(each.name.replaceAll("_", " "), [grouped(each.n), ""]);
      row.title = each.sentence;
      const meter = document.createElement("meter");
      Object.assign(meter, { min: 0, max: all, value: each.n });
      meter.setAttribute("aria-label", `${Math.round((100 * each.n) / all)} %`);
      row.lastElementChild.append(meter);
      return row;
    }));
    this.part("no-classes").hidden = all > 0;
  }
}
