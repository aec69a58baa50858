// The chart of the last hour and the table behind it. Colours come from the theme's own variables.

import { clockTime, grouped } from "./times.js";

const METRICS = ["accepted", "delivered", "deferred", "bounced"];
const STACKED = ["delivered", "deferred", "bounced"];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function minutes(hour) {
  const start = new Date(hour.start).getTime();
  return hour.delivered.map((_, place) => new Date(start + place * 60000));
}

const shortTime = (date) => clockTime(date).slice(0, 5);

function dataset(metric) {
  const isBar = STACKED.includes(metric);
  const shared = { label: metric, data: [], order: isBar ? 1 : 0 };
  if (isBar) return { ...shared, type: "bar", stack: "outcomes", barPercentage: 1, categoryPercentage: 0.82, borderRadius: 1.5 };
  return { ...shared, type: "line", borderWidth: 1.75, borderDash: [5, 3], pointRadius: 0, pointHitRadius: 8, tension: 0.25 };
}

function options() {
  return {
    animation: false, // it changes every second: calm is better
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    layout: { padding: { top: 4 } },
    scales: {
      x: { stacked: true, grid: { display: false }, border: {}, ticks: { maxRotation: 0, autoSkip: true, maxTicksLimit: 7 } },
      y: { stacked: true, beginAtZero: true, suggestedMax: 4, border: { display: false }, grid: {}, ticks: { precision: 0, maxTicksLimit: 5 } },
    },
    plugins: { legend: { display: false }, tooltip: { boxPadding: 4, callbacks: { label: (item) => ` ${item.dataset.label}: ${grouped(item.raw)}` } } },
  };
}

export class Hour {
  constructor(canvas, table) {
    this.table = table;
    this.chart = new window.Chart(canvas, { type: "bar", data: { labels: [], datasets: METRICS.map(dataset) }, options: options() });
    this.paint();
    document.addEventListener("mailweir:theme", () => { this.paint(); this.chart.update("none"); });
    table.closest("details").addEventListener("toggle", () => this.write());
  }

  paint() {
    for (const each of this.chart.data.datasets) {
      const found = colour(`--mw-${each.label}`);
      each.backgroundColor = found;
      each.borderColor = found;
    }
    const { x, y } = this.chart.options.scales;
    const font = { family: getComputedStyle(document.body).fontFamily, size: 11 };
    x.ticks.font = y.ticks.font = font;
    x.ticks.color = y.ticks.color = colour("--mw-quiet");
    y.grid.color = x.border.color = colour("--bs-border-color");
  }

  draw(hour) {
    const text = JSON.stringify(hour);
    if (text === this.drawn) return;
    this.drawn = text;
    this.hour = hour;
    this.chart.data.labels = minutes(hour).map(shortTime);
    for (const each of this.chart.data.datasets) each.data = hour[each.label];
    this.chart.update();
    this.write();
  }

  write() {
    if (!this.table.closest("details").open || !this.hour) return;
    const times = minutes(this.hour);
    const rows = times.map((time, place) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = shortTime(time);
      row.append(head, ...METRICS.map((metric) => {
        const cell = document.createElement("td");
        cell.textContent = grouped(this.hour[metric][place] || 0);
        return cell;
      }));
      return row;
    });
    this.table.replaceChildren(...rows.reverse());
  }
}
