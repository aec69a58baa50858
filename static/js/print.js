// What a sheet of paper says of itself: when it was printed, and what page it was.

import { gettext } from "./words.js";

export function start() {
  window.addEventListener("beforeprint", () => {
    const at = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" }).format(new Date());
    document.body.dataset.printed = gettext("Printed %(at)s from %(url)s", { at, url: location.href });
  });
}
