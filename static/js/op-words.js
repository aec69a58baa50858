// What an operation is called: the same words as in its dialog (dashboard/pages/bulk.py).

import { ngettext } from "./words.js";

const TITLES = {
  retry: (n) => ngettext("Retry %(n)s delivery", "Retry %(n)s deliveries", n),
  hold: (n) => ngettext("Hold %(n)s delivery", "Hold %(n)s deliveries", n),
  release: (n) => ngettext("Release %(n)s delivery", "Release %(n)s deliveries", n),
  bounce: (n) => ngettext("Bounce %(n)s delivery", "Bounce %(n)s deliveries", n),
  delete: (n) => ngettext("Delete %(n)s delivery", "Delete %(n)s deliveries", n),
  restore: (n) => ngettext("Restore %(n)s delivery", "Restore %(n)s deliveries", n),
  priority: (n) => ngettext("Change the priority of %(n)s delivery", "Change the priority of %(n)s deliveries", n),
  reroute: (n) => ngettext("Reroute %(n)s delivery", "Reroute %(n)s deliveries", n),
  undo: (n) => ngettext("Undo for %(n)s delivery", "Undo for %(n)s deliveries", n),
};

export function title(operation) {
  const says = TITLES[operation.action];
  return says ? says(operation.matched || 0) : operation.action;
}
