// @ts-check

import { ON_CLICK } from "./behavior.js";
import { setAttribute, setHidden, setText } from "./dom.js";

/** @import { Ui } from "./ui.js" */

/**
 * Whether the lesson has introduced a control; all of them, where it names none.
 * @param {string[]} controls
 * @param {string} name
 */
export const isIntroduced = (controls, name) => controls.length === 0 || controls.includes(name);

/**
 * The controls that the lesson has introduced are shown, the others when the learner asks for them. The style sheet hides
 * what has another `data-control` than the view's `data-controls` name.
 * @param {Ui} ui
 * @param {() => HTMLElement} root
 */
export function introducedControls(ui, root) {
  const element = ui.h("button", { type: "button", class: "workq-button workq-all", "aria-expanded": "false" });
  let all = false;
  const draw = () => {
    const controls = ui.frame?.controls ?? [];
    setHidden(element, controls.length === 0);
    setText(element, all ? "Only this lesson's controls" : "All controls");
    setAttribute(element, "aria-expanded", String(all));
    setAttribute(root(), "data-controls", all || controls.length === 0 ? "all" : controls.join(" "));
  };
  element[ON_CLICK] = () => {
    all = !all;
    draw();
  };
  return { element, draw };
}
