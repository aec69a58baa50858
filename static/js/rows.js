// Fills server-made markup with values, and keeps lists of rows in step with a snapshot.
//
// Markup says where a value goes: data-text, data-number, data-time, data-href, data-badge,
// data-some. Text is only ever set as text, so what a stranger wrote stays text.
// A list never moves a row under the pointer or the focus: rows that are there are updated in place,
// the new order and new rows wait until pointer and focus have left, or "show" is pressed.

import { element, grouped } from "./times.js";

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setTime(node, iso) {
  if ((node.dataset.iso || "") === (iso || "")) return;
  node.dataset.iso = iso || "";
  node.replaceChildren(...(iso ? [element(iso, node.dataset.form)] : []));
}

function setBadge(node, state) {
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  const badge = document.querySelector(`template[data-badge-of="${CSS.escape(state)}"]`);
  node.replaceChildren(...(badge ? [badge.content.cloneNode(true)] : [state]));
}

function setLink(node, url) {
  // Ours alone: a path of this host.
  if (url && url.startsWith("/") && node.getAttribute("href") !== url) node.setAttribute("href", url);
}

const SETTERS = {
  text: (node, value) => setText(node, value === null || value === undefined ? "" : String(value)),
  number: (node, value) => setText(node, grouped(value || 0)),
  time: setTime,
  href: setLink,
  badge: setBadge,
  some: (node, value) => { node.hidden = !value; },
};

export function fill(root, values) {
  for (const [name, set] of Object.entries(SETTERS)) {
    const own = root.matches?.(`[data-${name}]`) ? [root] : [];
    for (const node of [...own, ...root.querySelectorAll(`[data-${name}]`)]) {
      const key = node.dataset[name];
      if (key in values) set(node, values[key]);
    }
  }
}

export class Rows {
  constructor(body, key) {
    this.body = body;
    this.key = key;
    this.template = document.getElementById(body.dataset.rows);
    this.button = document.querySelector(`[data-held-back="${CSS.escape(body.id)}"]`);
    this.none = document.querySelector(`[data-none="${CSS.escape(body.id)}"]`);
    this.isHeld = false;
    this.waiting = null;
    body.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") this.isHeld = true; });
    body.addEventListener("pointerleave", () => this.release());
    body.addEventListener("focusout", () => setTimeout(() => this.release()));
    this.button?.addEventListener("click", () => { this.isHeld = false; this.arrange(); });
  }

  get isBusy() {
    const selected = window.getSelection();
    const isMarked = selected && !selected.isCollapsed && this.body.contains(selected.anchorNode);
    return this.isHeld || isMarked || this.body.contains(document.activeElement);
  }

  update(values) {
    this.waiting = values;
    if (this.isBusy) this.refresh();
    else this.arrange();
  }

  release() {
    this.isHeld = false;
    if (this.waiting && !this.isBusy) this.arrange();
  }

  rowsByKey() {
    return new Map([...this.body.children].map((row) => [row.dataset.key, row]));
  }

  // Values only: no row comes, goes or moves.
  refresh() {
    const rows = this.rowsByKey();
    let nNew = 0;
    for (const values of this.waiting) {
      const row = rows.get(String(values[this.key]));
      if (row) fill(row, values);
      else nNew += 1;
    }
    this.offer(nNew);
  }

  arrange() {
    const rows = this.rowsByKey();
    const wanted = this.waiting.map((values) => {
      const row = rows.get(String(values[this.key])) || this.template.content.firstElementChild.cloneNode(true);
      row.dataset.key = String(values[this.key]);
      fill(row, values);
      return row;
    });
    const keep = new Set(wanted);
    for (const row of [...this.body.children]) if (!keep.has(row)) row.remove();
    wanted.forEach((row, place) => {
      if (this.body.children[place] !== row) this.body.insertBefore(row, this.body.children[place] || null);
    });
    if (this.none) this.none.hidden = wanted.length > 0;
    this.offer(0);
  }

  offer(nNew) {
    if (!this.button) return;
    this.button.hidden = nNew === 0;
    setText(this.button, `${nNew} new, show`);
  }
}
