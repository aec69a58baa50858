// The form of an alert rule shows what its condition takes: a search or things, a limit with its unit, scopes.
// Without this script all fields are there, and what a condition does not take is not looked at.

const condition = document.getElementById("r-condition");
const threshold = document.getElementById("r-threshold");

function show() {
  const chosen = condition.selectedOptions[0];
  if (!chosen) return;
  const { unit = "", than = "", scopes = "", says = "", search } = chosen.dataset;
  const isSearch = search !== undefined;
  const shown = {
    search: isSearch,
    things: !isSearch,
    unit: unit !== "",
    scopes: scopes.split(" ").length > 1,
  };
  for (const part of document.querySelectorAll("[data-shown-for]")) part.hidden = !shown[part.dataset.shownFor];
  document.getElementById("r-query").required = isSearch;
  threshold.required = isSearch;
  if (isSearch) document.getElementById("r-only").value = "";
  for (const option of document.getElementById("r-scope").options) {
    option.hidden = option.value !== "" && !scopes.split(" ").includes(option.value);
  }
  document.getElementById("r-than").textContent = than;
  document.getElementById("r-unit").textContent = unit && `(${unit.replace("_", " ")})`;
  document.getElementById("r-says").textContent = says;
}

if (condition) {
  condition.addEventListener("change", () => {
    document.getElementById("r-scope").value = "";
    show();
  });
  show();
}
