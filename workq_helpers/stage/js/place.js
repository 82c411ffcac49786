// @ts-check

import { setHidden } from "./dom.js";

/** @import { Ui } from "./ui.js" */
/** @import { StagePanel } from "./types.d.ts" */
/** @typedef {"panel" | "cell" | "away"} Where Beside the notebook, below its cell, or nowhere: another view is beside. */

const LOOK_SECONDS = 0.05; // how often it looks whether Jupyter has put the cell's output on the page

/** Where a view is shown: in JupyterLab in a panel beside its notebook, elsewhere below its cell. */
export class Place {
  /** @type {number | null} */
  #timer = null;
  /** @type {object | null} Its notebook, where no cell has an output that it could stand in. */
  notebook = null;

  /**
   * @param {Ui} ui
   * @param {HTMLElement} el The cell's output.
   * @param {HTMLElement} root The view.
   */
  constructor(ui, el, root) {
    this.ui = ui;
    this.el = el;
    this.root = root;
    /** @type {StagePanel | undefined} JupyterLab's, where there is one. */
    this.panel = ui.window.workqPanel;
    const { h } = ui;
    const show = this.#button("Show it", () => this.panel?.show(this));
    const here = this.#button("Show it here", () => this.#stay());
    this.note = h("p", { class: "workq-elsewhere", hidden: true }, "The stage is beside the notebook. ", show, here);
    this.back = h(
      "p",
      { class: "workq-elsewhere", hidden: true },
      this.#button("Show the stage beside the notebook", () => this.#move()),
    );
  }

  /** @param {object | null} notebook */
  open(notebook) {
    this.notebook = notebook;
    this.el.append(this.note, this.back);
    if (this.panel) this.#join();
    else this.el.append(this.root);
  }

  close() {
    this.ui.timers.cancel(this.#timer);
    this.panel?.leave(this);
    for (const element of [this.note, this.back, this.root]) element.remove();
  }

  /**
   * The panel has said where the view is.
   * @param {Where} where
   */
  place(where) {
    if (where === "cell" && this.root.parentNode !== this.el) this.el.append(this.root);
    if (where === "away") this.root.remove();
    setHidden(this.note, where === "cell");
    setHidden(this.back, where !== "cell");
  }

  /** Joins the panel as soon as the cell is on the page; until then the view is nowhere, for another may be beside. */
  #join() {
    if (this.notebook) {
      this.panel?.join(this);
      return;
    }
    if (!this.el.isConnected) {
      this.#timer = this.ui.timers.after(LOOK_SECONDS, () => this.#join());
      return;
    }
    if (this.panel?.isBeside(this.el)) this.panel.join(this);
    else this.el.append(this.root); // as in a view of its own that the learner has made of the output
  }

  #stay() {
    this.panel?.leave(this);
    this.place("cell");
  }

  #move() {
    this.panel?.show(this);
  }

  /**
   * @param {string} text
   * @param {() => void} act
   */
  #button(text, act) {
    const element = this.ui.h("button", { type: "button", class: "workq-link" }, text);
    element.addEventListener("click", act);
    return element;
  }
}
