// Puts what the server wrote anew in the place of what is shown, without taking anything from the reader:
// pictures and times that were drawn here stay drawn, what is open stays open.

import { drawStrip } from "./strip.js";
import { drawAll } from "./times.js";

const callbacks = {
  beforeNodeMorphed: (from, to) => {
    if (from.dataset?.strip !== undefined && to.dataset?.strip !== undefined) {
      from.dataset.strip = to.dataset.strip;
      return false;
    }
    return !(from.tagName === "TIME" && from.dateTime === to.dateTime && from.dataset.form === to.dataset.form);
  },
  beforeAttributeUpdated: (name, node) => !(name === "open" && node instanceof HTMLDetailsElement),
};

export function drawStrips(root = document) {
  for (const node of root.querySelectorAll("[data-strip]")) drawStrip(node, node.dataset.strip);
}

// `part` stays the element that it is; `newer` is used up.
export function put(part, newer) {
  window.Idiomorph.morph(part, newer, { callbacks });
  drawStrips(part);
  drawAll(part);
}
