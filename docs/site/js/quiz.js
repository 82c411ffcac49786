// @ts-check

/** Lets each question of a quiz be answered: what is said of a choice stands in the fold below, and is shown here. */
export function takeQuizAnswers() {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form.course-question"))) {
    const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
    button.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      tell(form);
    });
  }
}

/** @param {HTMLFormElement} form */
function tell(form) {
  const status = /** @type {HTMLElement} */ (form.querySelector("[role=status]"));
  const chosen = /** @type {HTMLInputElement | null} */ (form.querySelector("input:checked"));
  const said = chosen && form.querySelector(`[data-choice="${chosen.value}"]`);
  if (said) status.replaceChildren(...said.cloneNode(true).childNodes);
  else status.textContent = "Choose one first.";
}
