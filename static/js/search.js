// Completes the search as a combobox (ARIA 1.2): a text field with a list that the arrows walk through.
//
// Typing never chooses anything: Enter searches unless an entry was walked to. Escape closes. What comes
// back is set as text only. Without this file the field is a plain search field.

const WAIT = 120; // ms of silence before the server is asked

class Completion {
  constructor(input) {
    this.input = input;
    this.list = document.getElementById(`${input.id}-completions`);
    this.found = { from: 0, to: 0, items: [] };
    this.at = -1;
    this.timer = 0;
    this.asked = 0;
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-haspopup", "listbox");
    input.setAttribute("aria-controls", this.list.id);
    this.close();
    input.addEventListener("input", () => this.soon());
    input.addEventListener("keydown", (event) => this.press(event));
    input.addEventListener("blur", () => this.close());
    input.form.addEventListener("submit", () => this.close());
    // A press must not take the focus away before the click is there.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(Number(option.dataset.place));
    });
  }

  get isOpen() {
    return !this.list.hidden;
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT);
  }

  async ask() {
    clearTimeout(this.timer);
    const mine = ++this.asked;
    const at = this.input.selectionStart ?? this.input.value.length;
    const query = new URLSearchParams({ q: this.input.value, at: String(at) });
    try {
      const answer = await fetch(`${this.input.dataset.complete}?${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const found = await answer.json();
      if (mine !== this.asked || document.activeElement !== this.input) return;
      this.found = found;
      this.show();
    } catch {
      this.close(); // the search works without it
    }
  }

  show() {
    const options = this.found.items.map((item, place) => {
      const option = document.createElement("li");
      option.id = `${this.list.id}-${place}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.place = String(place);
      const label = document.createElement("code");
      label.textContent = item.label;
      option.append(label);
      if (item.note) {
        const note = document.createElement("span");
        note.textContent = item.note;
        option.append(" ", note);
      }
      return option;
    });
    this.list.replaceChildren(...options);
    this.walkTo(-1);
    this.list.hidden = options.length === 0;
    this.input.setAttribute("aria-expanded", String(this.isOpen));
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.walkTo(-1);
  }

  walkTo(place) {
    this.at = place;
    [...this.list.children].forEach((option, each) => option.setAttribute("aria-selected", String(each === place)));
    const option = this.list.children[place];
    if (option) {
      this.input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }

  press(event) {
    if (event.isComposing) return;
    const n = this.list.children.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!this.isOpen) this.ask();
      else this.walkTo(event.key === "ArrowDown" ? (this.at + 2) % (n + 1) - 1 : (this.at + n + 1) % (n + 1) - 1);
    } else if (event.key === "Enter" && this.isOpen && this.at >= 0) {
      event.preventDefault();
      this.choose(this.at);
    } else if (event.key === "Tab" && this.isOpen && this.at >= 0) {
      event.preventDefault();
      this.choose(this.at);
    } else if (event.key === "Escape" && this.isOpen) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    }
  }

  choose(place) {
    const item = this.found.items[place];
    if (!item) return;
    const { from, to } = this.found;
    const isWhole = !/[:]$/.test(item.text) && /[:<>=]/.test(item.text);
    const rest = this.input.value.slice(to);
    const text = isWhole && !rest.startsWith(" ") ? `${item.text} ` : item.text;
    this.input.value = this.input.value.slice(0, from) + text + rest;
    this.input.setSelectionRange(from + text.length, from + text.length);
    this.input.focus();
    this.close();
    if (!isWhole) this.ask();
  }
}

// The field is a part of the page, not of the results: it stands still while they change. Following a link
// that drops a filter changes the address, and the field with it.
function follow(input) {
  document.addEventListener("htmx:pushedIntoHistory", () => {
    const said = new URL(location.href).searchParams.get("q") || "";
    if (document.activeElement !== input && input.value !== said) input.value = said;
  });
}

for (const input of document.querySelectorAll("input[data-complete]")) {
  new Completion(input);
  follow(input);
}
