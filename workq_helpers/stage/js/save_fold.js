// @ts-check

import { button } from "./buttons.js";

/** @import { Ui } from "./ui.js" */

/**
 * Keeps the run: Python writes the file, and says in a notice where it is.
 * @param {Ui} ui
 */
export function saveFold(ui) {
  const { h } = ui;
  const save = button(ui, "Save this run", "save_run", { title: "Write it as a file beside the notebook" });
  return h(
    "details",
    { class: "workq-save", "data-control": "details" },
    h("summary", {}, "Save"),
    h(
      "div",
      { class: "workq-save-body" },
      save,
      h(
        "p",
        { class: "workq-hint" },
        "All that the stage has shown of this lesson, as a page that plays in any browser.",
      ),
    ),
  );
}
