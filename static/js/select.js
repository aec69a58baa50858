// What is ticked in the list of deliveries: single rows, ranges with Shift, the page, or all that match.
//
// The list may be drawn anew at any time: ids are kept here, the boxes only show them. Ticks stay on
// other pages of the same search, and the bar says how many are out of sight. A different search clears
// them, for nobody may act on rows that the search left out. "All" means the search, never the rows
// that were drawn; the server counts again before anything is done.

import * as live from "./live.js";
import { grouped } from "./times.js";
import { gettext, ngettext } from "./words.js";

export class Selection {
  // `results`: what the list stands in; the list itself may be replaced at any time.
  constructor(results, bar) {
    this.results = results;
    this.bar = bar;
    this.ids = new Set();
    this.isAll = false;
    this.anchor = null;
    this.q = this.list.q;
    results.addEventListener("click", (event) => this.click(event));
    bar.addEventListener("click", (event) => {
      if (event.target.closest("[data-select='all']")) this.takeAll();
      if (event.target.closest("[data-select='none']")) this.clear();
    });
    document.addEventListener("htmx:afterSwap", (event) => { if (results.contains(event.target)) this.swapped(); });
    window.addEventListener("pageshow", () => this.draw()); // the browser remembers boxes by itself
    this.draw();
  }

  // The list as it says itself: {q, count, isExact}.
  get list() {
    const told = this.results.querySelector("[data-count]");
    const { q = "", count = "0", exact = "true" } = told?.dataset || {};
    return { q, count: Number(count), isExact: exact !== "false" };
  }

  get boxes() {
    return [...this.results.querySelectorAll("input.tick")];
  }

  get n() {
    return this.isAll ? this.list.count : this.ids.size;
  }

  // The same as a search, for what takes no ids; several of one key are OR.
  get search() {
    return this.isAll ? this.q : [...this.ids].map((id) => `id:${id}`).join(" ");
  }

  // What an action is asked for: {q} or {ids}.
  get target() {
    return this.isAll ? { q: this.q } : { ids: [...this.ids] };
  }

  click(event) {
    const head = event.target.closest("input.tick-all");
    const box = event.target.closest("input.tick");
    if (head) this.tickPage(head.checked);
    else if (box) this.tick(box, event.shiftKey);
  }

  tick(box, isRange) {
    const boxes = this.boxes;
    if (this.isAll) this.pageOnly();
    const from = isRange ? boxes.findIndex((each) => each.value === this.anchor) : -1;
    const to = boxes.indexOf(box);
    const range = from < 0 ? [box] : boxes.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const each of range) this.mark(each.value, box.checked);
    this.anchor = box.value;
    this.draw();
  }

  toggle(row) {
    const box = row.querySelector("input.tick");
    if (!box || box.disabled) return;
    box.checked = !box.checked;
    this.tick(box, false);
  }

  mark(id, isTicked) {
    if (isTicked) this.ids.add(id);
    else this.ids.delete(id);
  }

  pageOnly() {
    this.isAll = false;
    this.ids = new Set(this.boxes.map((box) => box.value));
  }

  tickPage(isTicked) {
    this.isAll = false;
    for (const box of this.boxes) if (!box.disabled) this.mark(box.value, isTicked);
    this.draw();
  }

  takeAll() {
    this.isAll = true;
    this.draw();
    (this.bar.querySelector("[data-action]") || this.bar.querySelector("[data-select='none']")).focus(); // the button that was pressed is gone
  }

  clear() {
    const hadFocus = this.bar.contains(document.activeElement);
    this.ids.clear();
    this.isAll = false;
    this.anchor = null;
    this.draw();
    if (hadFocus) (this.results.querySelector("input.tick-all") || document.getElementById("main")).focus({ preventScroll: true });
  }

  swapped() {
    const { q } = this.list;
    if (q !== this.q) {
      this.q = q;
      this.clear();
    }
    this.draw();
  }

  // Boxes, rows and bar as the ids say; touches only what differs.
  draw() {
    const boxes = this.boxes;
    let nHere = 0;
    for (const box of boxes) {
      const isTicked = this.isAll || this.ids.has(box.value);
      if (box.checked !== isTicked) box.checked = isTicked;
      box.closest("tr")?.classList.toggle("is-ticked", isTicked);
      if (isTicked) nHere += 1;
    }
    const head = this.results.querySelector("input.tick-all");
    if (head) {
      head.checked = boxes.length > 0 && nHere === boxes.length;
      head.indeterminate = nHere > 0 && nHere < boxes.length;
    }
    this.drawBar(boxes.length, nHere);
    if (this.n) live.hold("ticks", ngettext("%(n)s ticked", "%(n)s ticked", this.n));
    else live.release("ticks");
  }

  drawBar(nRows, nHere) {
    const { count, isExact } = this.list;
    const number = isExact || !this.isAll ? grouped(this.n) : gettext("more than %(n)s", { n: grouped(this.n) });
    const set = (name, text) => {
      const node = this.bar.querySelector(`[data-part='${name}']`);
      if (node.textContent !== text) node.textContent = text;
    };
    this.bar.hidden = this.n === 0;
    set("n", number);
    set("what", this.isAll ? gettext("all that match are selected") : ngettext("delivery ticked", "deliveries ticked", this.n));
    const nElsewhere = this.isAll ? 0 : this.ids.size - nHere;
    set("elsewhere", nElsewhere ? ngettext("%(n)s of them on another page", "%(n)s of them on other pages", nElsewhere) : "");
    const all = this.bar.querySelector("[data-select='all']");
    all.hidden = this.isAll || count <= this.n || nHere < nRows;
    const matching = { n: grouped(count) };
    all.textContent = isExact ? gettext("Select all %(n)s that match", matching) : gettext("Select all that match, more than %(n)s", matching);
  }
}
