// Every other destructive control: a submit button marked `data-destructive` asks before its form goes.
//
// <button data-destructive data-confirm="Revoke the key 'shop'? Programs that use it are refused at once.">
// The question is the dialog's text, the button's own words are its title and its button, so they say
// what happens. With `data-confirm-reason` a reason is asked for and goes along as `reason`.

import { open } from "./modal.js";

let asked = null; // {form, button} that waits for the answer

function words(button) {
  return button.dataset.confirmTitle || button.getAttribute("aria-label") || button.textContent.trim();
}

function ask(form, button) {
  const dialog = document.getElementById("confirm");
  asked = { form, button };
  dialog.querySelector("[data-part='title']").textContent = words(button);
  dialog.querySelector("[data-part='text']").textContent = button.dataset.confirm || "";
  dialog.querySelector("[data-part='go']").textContent = words(button);
  const reason = dialog.querySelector("[data-part='reason']");
  reason.hidden = !("confirmReason" in button.dataset);
  const field = reason.querySelector("input");
  field.required = !reason.hidden;
  field.value = "";
  open(dialog, button);
}

function go() {
  const { form, button } = asked;
  const reason = document.querySelector("#confirm [data-part='reason'] input");
  if (reason.required) {
    const field = form.querySelector("input[name='reason']") || document.createElement("input");
    field.type = "hidden";
    field.name = "reason";
    field.value = reason.value;
    form.append(field);
  }
  button.dataset.isConfirmed = "yes";
  form.requestSubmit(button);
  delete button.dataset.isConfirmed;
}

export function start() {
  const dialog = document.getElementById("confirm");
  if (!dialog) return;
  // Before htmx and everybody else: capture.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.matches("[data-destructive]") || button.dataset.isConfirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(event.target, button);
  }, true);
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!asked) return; // a second click
    dialog.close();
    go();
    asked = null;
  });
  dialog.addEventListener("close", () => setTimeout(() => { if (!dialog.open) asked = null; }));
}
