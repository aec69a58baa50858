// Asks for the listings again when the socket says that one of them changed, or that the watch stopped.

let known = null;

document.addEventListener("mailweir:snapshot", ({ detail }) => {
  const { changed_at: changed, watch_is_late: late } = detail.listings;
  const now = `${changed} ${late}`;
  // The first word may be newer than the page.
  if (now !== known) document.body.dispatchEvent(new CustomEvent("mailweir:listings"));
  known = now;
});
