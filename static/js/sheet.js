// A form of the server in a dialog: links with data-dialog open it, Esc and Cancel close it.
//
// Without this script the same link is a page of its own. A form that the server refuses is drawn
// again with the reason; one that is done says so in #done and becomes the event `mailweir:acted`.

const box = document.getElementById("sheet");
let opener = null;

function show(html) {
  const made = new DOMParser().parseFromString(html, "text/html");
  box.replaceChildren(...made.body.childNodes);
  if (!box.open) box.showModal();
  const wrong = box.querySelector("[aria-invalid=true]") || box.querySelector("input:not([type=hidden]), select, button[type=submit]");
  wrong?.focus();
}

function close() {
  box.close();
}

function isForm(response) {
  return response.headers.get("content-type")?.startsWith("text/html") && !response.redirected;
}

async function open(link) {
  opener = link;
  const asked = new URL(link.href);
  asked.searchParams.set("back", location.pathname + location.search);
  const response = await fetch(asked, { headers: { "HX-Request": "true" } });
  if (!response.ok || !isForm(response)) location.assign(link.href);
  else show(await response.text());
}

async function send(form) {
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "HX-Request": "true" } });
    if (response.ok && !isForm(response) && !response.redirected) {
      const { done } = await response.json();
      close();
      const told = document.getElementById("done");
      told.querySelector("[data-part=text]").textContent = done;
      told.hidden = false;
      document.dispatchEvent(new CustomEvent("mailweir:acted"));
    } else if (isForm(response) && [403, 422].includes(response.status)) show(await response.text());
    else location.reload();
  } finally {
    button.disabled = false;
  }
}

export function start() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
      event.preventDefault();
      open(link).catch(() => location.assign(link.href));
    }
    if (event.target.closest("#sheet [data-close]")) {
      event.preventDefault();
      close();
    }
  });
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.target);
  });
  box.addEventListener("close", () => {
    const menu = opener?.closest(".dropdown")?.querySelector("[data-bs-toggle]");
    (menu || opener)?.focus();
  });
}
