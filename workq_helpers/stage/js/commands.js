// @ts-check

import { COMMAND } from "./behavior.js";
import { setAttribute } from "./dom.js";

/** @import { NoticeList } from "./notice_list.js" */
/** @import { PythonPanel } from "./python_panel.js" */
/** @import { Answer, Command, Model } from "./types.d.ts" */
/** @import { Ui } from "./ui.js" */

const WAITING_SECONDS = 0.25; // without a receipt by then a command waits for the cell that runs
const UNHEARD_SECONDS = 4.5; // after this long without a receipt a command has not arrived
const EXPLAIN_SECONDS = 0.08; // how long the pointer rests before Python is asked

const WAITING =
  "What was pressed here waits for the cell that runs: this Jupyter hands it to the kernel when that cell ends.";
const UNHEARD =
  "The kernel has not taken what was pressed here. If no cell is running, reload this page and press again.";

/**
 * @typedef {object} Sent A command on its way.
 * @property {Element | undefined} control What was pressed.
 * @property {number[]} timers What is to be said if no receipt comes.
 */

/** Sends commands, and understands the answers. */
export class Commands {
  /** @type {Map<string, Sent>} Commands without a receipt. */
  #unheard = new Map();
  /** @type {Set<Element>} Controls whose commands were taken, until that can be seen. */
  #taken = new Set();
  #prefix = Math.random().toString(36).slice(2, 10); // several views share one model: whose answer is it?
  #serial = 0;
  /** @type {string | null} The id of the last question for code. */
  #asked = null;
  #lastExplained = "";
  /** @type {number | null} */
  #timer = null;

  /**
   * @param {Ui} ui
   * @param {Model} model
   * @param {NoticeList} notices
   * @param {PythonPanel} python
   */
  constructor(ui, model, notices, python) {
    this.ui = ui;
    this.model = model;
    this.notices = notices;
    this.python = python;
  }

  /**
   * @param {Command} command
   * @param {Element} [control] What was pressed, which shows so at once, and that its command waits.
   */
  send(command, control) {
    const id = this.#newId();
    const { timers } = this.ui;
    if (control) setAttribute(control, "data-pressed", true);
    this.#unheard.set(id, {
      control,
      timers: [
        timers.after(WAITING_SECONDS, () => this.#tellWaiting(control)),
        timers.after(UNHEARD_SECONDS, () => this.#tellUnheard(control)),
      ],
    });
    const during = this.ui.frame?.during;
    this.model.send({ id, ...command, ...(during ? { during } : {}) });
  }

  /**
   * Asks for the call that does the same as a control; soon, and once.
   * @param {Element} control
   */
  explain(control) {
    this.ui.timers.cancel(this.#timer);
    this.#timer = this.ui.timers.after(EXPLAIN_SECONDS, () => {
      const explain = control[COMMAND]?.();
      const text = JSON.stringify(explain);
      if (text === this.#lastExplained) return;
      this.#lastExplained = text;
      this.#asked = this.#newId();
      this.model.send({ id: this.#asked, explain });
    });
  }

  /** @param {Answer | undefined} message */
  answer(message) {
    const id = message?.id;
    if (message === undefined || typeof id !== "string" || !id.startsWith(`${this.#prefix}-`)) return;
    this.#heard(id);
    if (id === this.#asked) this.#explained(message);
    else if (message.ok === false && message.text) this.notices.refuse(message.text);
  }

  /** A frame was drawn, in which one sees what became of what was pressed. */
  drawn() {
    for (const control of this.#taken) setAttribute(control, "data-pressed", null);
    this.#taken.clear();
  }

  /** @param {Answer} message */
  #explained({ ok, code, text }) {
    if (ok && code) this.python.explain(code);
    else this.python.refuse(text);
  }

  /** @param {Element | undefined} control */
  #tellWaiting(control) {
    if (!this.ui.frame?.during) return; // no cell runs that it could wait for
    if (control) setAttribute(control, "data-waiting", true);
    this.notices.tell(WAITING);
  }

  /** @param {Element | undefined} control */
  #tellUnheard(control) {
    if (this.ui.frame?.during) return;
    if (control) setAttribute(control, "data-pressed", null);
    this.notices.tell(UNHEARD);
  }

  /** @param {string} id */
  #heard(id) {
    const sent = this.#unheard.get(id);
    if (sent === undefined) return;
    for (const timer of sent.timers) this.ui.timers.cancel(timer);
    this.#unheard.delete(id);
    const { control } = sent;
    const others = [...this.#unheard.values()];
    if (control && others.every((one) => one.control !== control)) {
      setAttribute(control, "data-waiting", null);
      this.#taken.add(control);
    }
    if (others.length > 0) return;
    this.notices.withdraw(WAITING);
    this.notices.withdraw(UNHEARD);
  }

  #newId() {
    this.#serial += 1;
    return `${this.#prefix}-${this.#serial}`;
  }
}
