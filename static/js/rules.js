// Dialogs of the page of rules: what was done there is seen at once.

import * as sheet from "./sheet.js";

sheet.start();
document.addEventListener("mailweir:acted", () => {
  const list = document.getElementById("effects");
  if (list) document.body.dispatchEvent(new CustomEvent("mailweir:changed"));
  else location.assign(document.querySelector(".crumb a").href);
});
