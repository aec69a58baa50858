// Sets the colour theme before the first paint. Loaded early and classic, so that nothing flashes.
(() => {
  const KEY = "mailweir-theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem(KEY) || "system";
    } catch {
      return "system"; // storage may be forbidden
    }
  };
  const apply = () => {
    const chosen = read();
    const theme = chosen === "system" ? (dark.matches ? "dark" : "light") : chosen;
    document.documentElement.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("mailweir:theme", { detail: theme }));
  };
  const mark = () => {
    for (const button of document.querySelectorAll("#theme [data-theme]")) {
      button.setAttribute("aria-pressed", String(button.dataset.theme === read()));
    }
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    mark();
    document.getElementById("theme")?.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-theme]")?.dataset.theme;
      if (!chosen) return;
      try {
        localStorage.setItem(KEY, chosen);
      } catch {
        document.documentElement.dataset.bsTheme = chosen; // for this page only
      }
      apply();
      mark();
    });
  });
})();
