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
    this.compare = form.querySelector("a");
  }

  connect() {
    const { form } = this;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.#take());
    if (this.compare) this.compare.hidden = true; // until there is something to compare
    this.#take(); // a browser may know the answer from before
  }

  #take() {
    const given = /** @type {HTMLInputElement | null} */ (
      this.form.querySelector("input:checked, input[type=number]:valid")
    );
    if (!given) return;
    this.noted.textContent = `Noted: ${given.value}. You may still change it; then play the run, and compare.`;
    if (!this.comparison || !this.compare) return;
    this.compare.hidden = false;
    const compared = /** @type {HTMLElement} */ (this.comparison.querySelector(".course-compared"));
    compared.replaceChildren(tableBeside(given, this.comparison));
  }
}

/**
 * What the notebook would show beside an answer.
 * @param {HTMLInputElement} given
 * @param {HTMLElement} comparison
 */
function tableBeside(given, comparison) {
  const answer = given.type === "number" ? nearness(given.valueAsNumber, comparison) : given.value;
  const template = /** @type {HTMLTemplateElement} */ (comparison.querySelector(`template[data-answer="${answer}"]`));
  const table = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  const answered = table.querySelector("td"); // the first row's
  if (given.type === "number" && answered) answered.textContent = given.value;
  return table;
}

/**
 * @param {number} number
 * @param {HTMLElement} comparison
 */
function nearness(number, { dataset }) {
  return Math.abs(number - Number(dataset.number)) <= Number(dataset.tolerance) ? "near" : "far";
}
