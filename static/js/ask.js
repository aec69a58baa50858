// The dialog before anything is done to deliveries: a fragment of the server's (dashboard/pages/bulk.py)
// that says how many, which, and what can't be touched; confirming sends the number along.
//
// Whatever has `data-action` opens it: with `data-ids="1 2 3"` or `data-q="…"` for those, else for what
// is ticked. A different number, a mistake or a refusal comes back as a new fragment into the open dialog.
// A second click does nothing, and the key in the form makes the server do a repeated request only once.

import { isAnyOpen, open } from "./modal.js";
import { gettext } from "./words.js";

let busy = false;
let asked = 0; // the newest question: an answer to an older one is dropped
let selection = null;

const dialog = () => document.getElementById("ask");

function token() {
  return document.cookie.match(/(?:^|; )mailweir_csrf=([^;]+)/)?.[1] || "";
}

// POST a form's values. Gives {status, text, json}; a session that ended leads to the log-in.
export async function post(url, values) {
  const headers = { "X-CSRFToken": token(), "X-Requested-With": "fetch" };
  const response = await fetch(url, { method: "POST", body: values, headers, credentials: "same-origin" });
  if (response.redirected) {
    location.reload();
    return new Promise(() => {});
  }
  const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
  return isJson ? { status: response.status, json: await response.json() } : { status: response.status, text: await response.text() };
}

function say(text) {
  const place = dialog().querySelector("[data-part='error']");
  place.querySelector("[data-part='error-text']").textContent = text;
  place.hidden = false;
  place.focus();
}

function show(html) {
  const box = dialog();
  box.querySelector("[data-part='body']").innerHTML = html; // made by the server's template, which escapes
  document.dispatchEvent(new CustomEvent("mailweir:drawn", { detail: box }));
  const first = box.querySelector("[data-first]") || box.querySelector("[role='alert'], input:not([type=hidden]), button[type=submit]");
  first?.focus();
}

function wait() {
  const box = dialog();
  box.querySelector("[data-part='body']").replaceChildren(box.querySelector("template").content.cloneNode(true));
}

function values(action, { ids, q }, more) {
  const form = new FormData();
  form.set("action", action);
  if (ids) form.set("ids", ids.join(" "));
  else form.set("q", q);
  for (const [name, value] of Object.entries(more)) form.set(name, value);
  return form;
}

// Ask for `action` on `target` ({ids} or {q}).
export async function ask(action, target, opener = document.activeElement, more = {}) {
  if (isAnyOpen()) return;
  const mine = (asked += 1);
  wait();
  open(dialog(), opener);
  await load(dialog().dataset.url, values(action, target, more), mine);
}

async function load(url, form, mine) {
  try {
    const answer = await post(url, form);
    if (mine !== asked || !dialog().open) return;
    if (answer.text !== undefined && answer.status < 500) show(answer.text);
    else say(gettext("The server could not answer. Nothing was done."));
  } catch {
    if (mine === asked) say(gettext("The server was not reached. Nothing was done."));
  }
}

async function confirm(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button[type='submit']");
  if (busy) return;
  busy = true;
  const mine = asked;
  button.setAttribute("aria-disabled", "true");
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await post(form.getAttribute("action"), new FormData(form));
    if (answer.json && answer.status < 300) done(answer.json); // also where the dialog was closed meanwhile
    else if (mine !== asked || !dialog().open) return;
    else if (answer.text !== undefined && answer.status < 500) show(answer.text);
    else say(gettext("The server could not do that. Look at the operations before you try again."));
  } catch {
    say(gettext("The server was not reached. Try again: it is done once at most."));
  } finally {
    busy = false;
    button.removeAttribute("aria-disabled");
    form.removeAttribute("aria-busy");
  }
}

function done(operation) {
  dialog().close();
  selection?.clear();
  document.dispatchEvent(new CustomEvent("mailweir:started", { detail: operation }));
}

function targetOf(button) {
  if (button.dataset.ids) return { ids: button.dataset.ids.split(" ") };
  if (button.dataset.q !== undefined) return { q: button.dataset.q };
  return selection?.n ? selection.target : null;
}

// `chosen`: the page's Selection, where it has one.
export function start(chosen = null) {
  selection = chosen || selection;
  if (chosen || !dialog()) return;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    const target = targetOf(button);
    if (target) ask(button.dataset.action, target, button);
  });
  dialog().addEventListener("submit", (event) => {
    if (event.target.matches("[data-part='form']")) confirm(event);
  });
  // The event comes a moment after the closing: by then the next question may be open.
  dialog().addEventListener("close", () => { if (!dialog().open) asked += 1; });
}
