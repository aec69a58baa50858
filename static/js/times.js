// Times and amounts for people: the server writes UTC, this shows the reader's zone.
// `duration` says the same as the filter of that name in dashboard/templatetags/times.py.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const numbers = new Intl.NumberFormat("en-US");

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const left = Math.max(0, Math.floor(seconds));
  for (const [place, [size, unit]] of UNITS.entries()) {
    if (left < size && size > 1) continue;
    const n = Math.floor(left / size);
    const rest = left % size;
    const [small, name] = UNITS[place + 1] || [1, ""];
    const second = rest >= small && n < 10 && name && name !== "s" ? ` ${Math.floor(rest / small)} ${name}` : "";
    return `${n} ${unit}${second}`;
  }
  return "–";
}

// How long something took: below ten seconds with its tenths.
export function took(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  return seconds < 10 ? `${Math.round(seconds * 10) / 10} s` : duration(seconds);
}

// What runs out, to the minute: 23 h 59 min, 4 min, 12 s.
export function countdown(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  if (left < 60) return `${left} s`;
  const minutes = Math.floor(left / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function grouped(n) {
  if (!Number.isInteger(n) && n < 10) return n.toFixed(1);
  return numbers.format(Math.round(n));
}

export function clockTime(date) {
  return clock.format(date);
}

function isToday(date) {
  return date.toDateString() === new Date().toDateString();
}

function said(date, form) {
  const away = (date.getTime() - Date.now()) / 1000;
  if (form === "until") return away > 0 ? `in ${duration(away)}` : "now";
  if (form === "left") return `${countdown(away)} left`;
  if (form === "ago") return away < -1 ? `${duration(-away)} ago` : "now";
  return isToday(date) ? clock.format(date) : day.format(date);
}

// Draws one <time>; touches the page only where its text changes.
export function draw(time) {
  const date = new Date(time.dateTime);
  if (Number.isNaN(date.getTime())) return;
  const text = said(date, time.dataset.form);
  if (time.textContent !== text) time.textContent = text;
  if (!time.dataset.isDrawn) {
    time.dataset.isDrawn = "yes";
    time.title = `${whole.format(date)} here · ${time.title}`;
  }
}

export function element(iso, form) {
  const time = document.createElement("time");
  time.dateTime = iso;
  time.dataset.form = form;
  time.title = `${iso.slice(0, 19).replace("T", " ")} UTC`;
  draw(time);
  return time;
}

export function drawAll(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) draw(time);
}

export function start() {
  drawAll();
  setInterval(drawAll, 1000);
  document.addEventListener("htmx:afterSwap", () => drawAll());
}
