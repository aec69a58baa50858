// Tells the page how high the dock at the bottom is, so that nothing is hidden behind it for good.

export function start() {
  const dock = document.getElementById("dock");
  if (!dock) return;
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--dock", `${Math.ceil(dock.getBoundingClientRect().height)}px`);
  }).observe(dock);
  const bar = document.getElementById("bar");
  if (bar) dock.append(bar); // the page's own bar stands with what belongs to all pages
}
