// @ts-check

/** @import { Commands } from "./commands.js" */
/** @import { Ui } from "./ui.js" */

const ADDRESS = "#workq-replay/";

/** Links of the notebook that have this lesson's stage replay an experiment: `#workq-replay/LESSON/EXPERIMENT`. */
export class ReplayLinks {
  /**
   * @param {Ui} ui
   * @param {Commands} commands
   * @param {HTMLElement} root
   */
  constructor(ui, commands, root) {
    this.ui = ui;
    this.commands = commands;
    this.root = root;
    this.follow = (/** @type {MouseEvent} */ event) => this.#follow(event);
  }

  connect() {
    this.ui.document.addEventListener("click", this.follow, true);
  }

  disconnect() {
    this.ui.document.removeEventListener("click", this.follow, true);
  }

  /** @param {MouseEvent} event */
  #follow(event) {
    const link = /** @type {Element} */ (event.target).closest?.(`a[href^="${ADDRESS}"]`);
    if (!link || event.defaultPrevented) return; // another view of the same stage has taken it
    const [lesson, experiment] = /** @type {string} */ (link.getAttribute("href")).slice(ADDRESS.length).split("/");
    if (decodeURIComponent(lesson) !== this.ui.frame?.lesson) return;
    event.preventDefault();
    event.stopPropagation();
    this.commands.send({ do: "replay", experiment: decodeURIComponent(experiment) });
    this.root.scrollIntoView?.({ block: "nearest" });
  }
}
