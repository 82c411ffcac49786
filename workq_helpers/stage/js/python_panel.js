// @ts-check

import { callLine } from "./call_line.js";
import { setHidden, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";

/** @import { CallLine, Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

const HINT = "Point at a control, or move to it with Tab: here stands the call that does the same.";

/** The same in Python: what the control at hand would call, and what was called. */
export class PythonPanel {
  /** @param {Ui} ui */
  constructor(ui) {
    const { h } = ui;
    this.explained = callLine(ui, "workq-explained");
    this.said = h("p", { class: "workq-hint" }, HINT);
    this.none = h("p", { class: "workq-hint" }, "No call was made from the stage yet.");
    const history = h("ol", { class: "workq-calls", "aria-label": "Calls made from the stage, newest first" });
    this.element = h(
      "details",
      { class: "workq-python", "data-control": "python" },
      h("summary", {}, "Python"),
      h(
        "div",
        { class: "workq-python-body" },
        this.said,
        h("div", { class: "workq-now" }, this.explained.element),
        h("h4", { class: "workq-label" }, "Calls made, newest first"),
        this.none,
        history,
      ),
    );
    setHidden(this.explained.element, true);
    this.rows = new KeyedList(
      history,
      (/** @type {CallLine} */ call) => call.number,
      () => callRow(ui),
      (row) => ui.saveFocus(row.element, this.element.firstElementChild),
    );
  }

  /** @param {Frame} frame */
  draw({ python }) {
    this.rows.draw([...python].reverse());
    setHidden(this.none, python.length > 0);
  }

  /** @param {string} code */
  explain(code) {
    this.explained.draw(code);
    setHidden(this.explained.element, false);
    setHidden(this.said, true);
  }

  /** @param {string | undefined} text Why there is no code for it. */
  refuse(text) {
    setHidden(this.explained.element, true);
    setHidden(this.said, false);
    setText(this.said, text || HINT);
  }
}

/** @param {Ui} ui */
function callRow(ui) {
  const line = callLine(ui, "workq-call");
  return {
    element: ui.h("li", {}, line.element),
    /** @param {CallLine} call */
    draw: (call) => line.draw(call.code),
  };
}
