// @ts-check
// Fields and forms, and the reasons why controls are off.

import { COMMAND, MAIN } from "./behavior.js";
import { setHidden, setText } from "./dom.js";

/** @import { Frame } from "./frame.d.ts" */
/** @import { Value } from "./types.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * @param {Ui} ui
 * @param {string} text
 * @param {string} field
 * @param {string} title
 */
export function checkbox(ui, text, field, title) {
  const input = ui.h("input", { type: "checkbox", "data-field": field });
  return { input, element: ui.h("label", { class: "workq-check", title, "data-control": field }, input, text) };
}

/**
 * @param {Ui} ui
 * @param {string} text
 * @param {string} field
 * @param {string} value
 * @param {Record<string, Value>} attributes
 */
export function numberField(ui, text, field, value, attributes = {}) {
  const input = ui.h("input", {
    type: "number",
    "data-field": field,
    value,
    min: "0",
    class: "workq-input",
    inputmode: "numeric",
    ...attributes,
  });
  const element = ui.h("label", { class: "workq-field" }, ui.h("span", {}, text), input);
  return { element, input, value: () => Number(input.value) || 0 };
}

/**
 * @param {Ui} ui
 * @param {string} field
 * @param {string} value
 * @param {Record<string, Value>} attributes
 */
export function textField(ui, field, value, attributes = {}) {
  return ui.h("input", {
    type: "text",
    class: "workq-input",
    "data-field": field,
    value,
    autocomplete: "off",
    spellcheck: "false",
    ...attributes,
  });
}

/**
 * A form whose Enter key does what its main button does.
 * @param {Ui} ui
 * @param {HTMLButtonElement} main
 * @param {Record<string, Value>} attributes
 * @param {(string | Node)[]} children
 */
export function form(ui, main, attributes, ...children) {
  const element = ui.h("form", { novalidate: true, ...attributes }, ...children);
  element[COMMAND] = main[COMMAND];
  element[MAIN] = main;
  return element;
}

/**
 * The heading of a column or card: a letter or sign in a frame, and words.
 * @param {Ui} ui
 * @param {string} glyph
 * @param {(string | Node)[]} children
 */
export function heading(ui, glyph, ...children) {
  const sign = ui.h("span", { class: "workq-glyph", "aria-hidden": "true" }, glyph);
  return ui.h("h3", { class: "workq-title" }, sign, ...children);
}

/**
 * A line of small text, which is not there until it has something to say.
 * @param {Ui} ui
 */
export function hint(ui) {
  const element = ui.h("p", { class: "workq-hint", hidden: true });
  return {
    element,
    /** @param {string} text */
    draw(text) {
      setText(element, text);
      setHidden(element, text === "");
    },
  };
}

/**
 * The reasons why some controls are off, as visible text.
 * @param {Ui} ui
 * @param {string[]} names
 */
export function reasons(ui, names) {
  const element = ui.h("p", { class: "workq-why", hidden: true });
  return {
    element,
    /**
     * @param {Frame} frame
     * @param {string[]} extra
     */
    draw(frame, extra = []) {
      const off = names.filter((name) => frame.actions[name]?.enabled === false);
      const found = new Set([...extra, ...off.map((name) => frame.actions[name].why)].filter(Boolean));
      setText(element, [...found].join(" "));
      setHidden(element, found.size === 0);
    },
  };
}
