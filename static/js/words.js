// The sentences that scripts say. Django's JavaScript catalogue (/words.js) holds their translations;
// without one they are said as they stand here. `%(name)s` is a value, `%(n)s` the grouped number.

import { grouped } from "./times.js";

function filled(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export function gettext(text, values = {}) {
  return filled(window.gettext ? window.gettext(text) : text, values);
}

export function ngettext(one, many, n, values = {}) {
  const text = window.ngettext ? window.ngettext(one, many, n) : n === 1 ? one : many;
  return filled(text, { n: grouped(n), ...values });
}
