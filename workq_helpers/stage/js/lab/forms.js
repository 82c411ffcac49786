// @ts-check

/**
 * Leaves predictions and quizzes their keys: JupyterLab would take the arrows and Enter for moves between cells.
 * What gets a key had the focus before, and JupyterLab looks for the attribute on what has it.
 */
export function leaveFormsTheirKeys() {
  document.addEventListener("focusin", (event) => {
    const focused = /** @type {Element} */ (event.target);
    if (focused.closest(".workq-form")) focused.setAttribute("data-lm-suppress-shortcuts", "true");
  });
}
