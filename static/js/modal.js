// Native modal dialogs: the rest of the page is inert, Esc closes, focus returns to where it was.

function isThere(element) {
  return Boolean(element?.isConnected) && element.checkVisibility();
}

const openers = new WeakMap();

function giveBack({ target: dialog }) {
  if (dialog.open) return; // opened anew before the word of its closing came
  const opener = openers.get(dialog);
  const place = isThere(opener) && opener !== document.body ? opener : document.getElementById("main");
  place.focus({ preventScroll: true });
}

// `opener` gets the focus back; where it is gone or hidden by then, the content does.
export function open(dialog, opener = document.activeElement) {
  if (dialog.open) return;
  if (!openers.has(dialog)) dialog.addEventListener("close", giveBack);
  openers.set(dialog, opener);
  dialog.showModal();
}

export function isAnyOpen() {
  return document.querySelector("dialog[open]") !== null;
}

export function start() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-close]");
    if (button) button.closest("dialog")?.close();
  });
}
