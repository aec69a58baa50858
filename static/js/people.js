// Account, people and keys: questions before what can't be undone, and buttons that copy.
//
// A button with data-opens shows the <dialog> of that id; data-closes closes it, as Escape does. The browser
// keeps the focus inside and gives it back. Without this script nothing destructive can be sent.

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-opens], [data-closes], [data-copy]");
  if (!button) return;
  if (button.dataset.opens) document.getElementById(button.dataset.opens)?.showModal();
  else if (button.dataset.copy) copy(button);
  else button.closest("dialog")?.close();
});

async function copy(button) {
  const from = document.getElementById(button.dataset.copy);
  const text = from.textContent.trim();
  const word = button.querySelector("span");
  try {
    await navigator.clipboard.writeText(text);
    word.textContent = "Copied";
  } catch {
    // Without HTTPS a page may not write there: then the text is marked for Ctrl-C.
    getSelection().selectAllChildren(from);
    word.textContent = "Press Ctrl-C";
  }
}
