// @ts-check

import { COMMAND } from "./behavior.js";

/** @import { NoticeList } from "./notice_list.js" */
/** @import { PythonPanel } from "./python_panel.js" */
/** @import { Answer, Command, Model } from "./types.d.ts" */
/** @import { Ui } from "./ui.js" */

const UNHEARD_SECONDS = 4.5; // after this long without a receipt a command has not arrived
const EXPLAIN_SECONDS = 0.08; // how long the pointer rests before Python is asked

const UNHEARD =
  "The kernel has not taken what was pressed here. If a cell is running, it does so when that cell ends; if none is, " +
  "reload this page and press again.";

/** Sends commands, and understands the answers. */
export class Commands {
  /** @type {Map<string, number>} Commands without a receipt, each with its timer. */
  #unheard = new Map();
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

  /** @param {Command} command */
  send(command) {
    const id = this.#newId();
    this.#unheard.set(
      id,
      this.ui.timers.after(UNHEARD_SECONDS, () => this.notices.tell(UNHEARD)),
    );
    this.model.send({ id, ...command });
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

  /** @param {Answer} message */
  #explained({ ok, code, text }) {
    if (ok && code) this.python.explain(code);
    else this.python.refuse(text);
  }

  /** @param {string} id */
  #heard(id) {
    if (!this.#unheard.has(id)) return;
    this.ui.timers.cancel(this.#unheard.get(id));
    this.#unheard.delete(id);
    if (this.#unheard.size === 0) this.notices.withdraw(UNHEARD);
  }

  #newId() {
    this.#serial += 1;
    return `${this.#prefix}-${this.#serial}`;
  }
}
