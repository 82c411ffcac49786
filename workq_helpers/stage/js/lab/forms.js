// @ts-check

/**
 * Leaves predictions and quizzes their keys: JupyterLab would take the arrows and Enter for moves between cells.
 * A form gets the focus before it gets a key.
 */
export function leaveFormsTheirKeys() {
  document.addEventListener("focusin", (event) => {
    const form = /** @type {Element} */ (event.target).closest(".workq-form");
    form?.setAttribute("data-lm-suppress-shortcuts", "true");
  });
}
