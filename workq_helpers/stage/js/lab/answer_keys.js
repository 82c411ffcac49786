// @ts-check

/**
 * Lets arrow keys choose an answer: in the buttons of a form, too, JupyterLab would take them to go from cell to cell.
 * @param {Window} window
 */
export function keepArrowsForAnswers(window) {
  const keep = (/** @type {KeyboardEvent} */ event) => {
    const at = /** @type {Element | null} */ (event.target);
    if (event.key.startsWith("Arrow") && at?.matches?.(".workq-form input[type='radio']")) event.stopPropagation();
  };
  window.addEventListener("keydown", keep, { capture: true }); // before the document, where JupyterLab listens
}
