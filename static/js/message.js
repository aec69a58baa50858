// The page of one message: while it changes in place, details that are open stay open and what is typed
// stays; a link to a recipient that is not on the page fetches it.

window.addEventListener("load", () => {
  // After idiomorph, which is deferred.
  const { callbacks } = window.Idiomorph.defaults;
  callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node instanceof HTMLDetailsElement);
  callbacks.beforeNodeMorphed = (from, to) => {
    if (from instanceof HTMLInputElement) return false;
    return !(from instanceof HTMLTimeElement && from.dateTime === to.dateTime && from.dataset.form === to.dataset.form);
  };
});

const named = location.hash.match(/^#delivery-(\d{1,18})$/);
if (named && !document.getElementById(named[0].slice(1))) {
  const url = new URL(location.href);
  if (url.searchParams.get("delivery") !== named[1]) {
    url.searchParams.set("delivery", named[1]);
    location.replace(url);
  }
}
