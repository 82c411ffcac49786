// @ts-check

/** Lets each prediction be answered: the answer is put beside what was recorded, with the texts of the notebook. */
export function takeAnswers() {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form.course-prediction")))
    new Answering(form).connect();
}

class Answering {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.noted = /** @type {HTMLElement} */ (form.querySelector("[role=status]"));
    this.comparison = document.getElementById(`compare-${form.dataset.prediction}`);
  }

  connect() {
    const { form } = this;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.#take());
    const compare = form.querySelector("a");
    if (compare) compare.hidden = true; // until there is something to compare
    this.#take(); // a browser may know the answer from before
  }

  #take() {
    const chosen = /** @type {HTMLInputElement | null} */ (this.form.querySelector("input:checked"));
    if (!chosen) return;
    this.noted.textContent = `Noted: ${chosen.value}. You may still change it; then play the run, and compare.`;
    const { comparison } = this;
    const template = /** @type {HTMLTemplateElement | null | undefined} */ (
      comparison?.querySelector(`template[data-choice="${chosen.value}"]`)
    );
    if (!comparison || !template) return;
    comparison.querySelector(".course-compared")?.replaceChildren(template.content.cloneNode(true));
    const compare = this.form.querySelector("a");
    if (compare) compare.hidden = false;
  }
}
