// @ts-check
// Writing to the page: only what differs from what is there, and text only as text.

/** @import { MakeElement, Value } from "./types.d.ts" */

const FOCUSABLE = new Set(["button", "input", "select", "summary", "a"]);

/** What was written to an element, so that reading the page is not needed to compare. */
export const DRAWN = Symbol("drawn");

/** @param {Element} element */
function drawnOn(element) {
  element[DRAWN] ??= { attributes: {}, styles: {} };
  return element[DRAWN];
}

/**
 * Sets text, if it is another.
 * @param {Element} element
 * @param {string} value
 */
export function setText(element, value) {
  const drawn = drawnOn(element);
  if (drawn.text === value) return;
  drawn.text = value;
  element.textContent = value;
}

/**
 * Sets an attribute, if it is another; null and false remove it.
 * @param {Element} element
 * @param {string} name
 * @param {Value} value
 */
export function setAttribute(element, name, value) {
  const { attributes } = drawnOn(element);
  if (attributes[name] === value) return;
  attributes[name] = value;
  if (value === null || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * Sets a CSS property of its own, if it is another.
 * @param {HTMLElement} element
 * @param {string} name
 * @param {string} value
 */
export function setStyle(element, name, value) {
  const { styles } = drawnOn(element);
  if (styles[name] === value) return;
  styles[name] = value;
  element.style.setProperty(name, value);
}

/**
 * @param {Element} element
 * @param {unknown} hidden
 */
export function setHidden(element, hidden) {
  setAttribute(element, "hidden", Boolean(hidden));
}

/**
 * Makes elements: `h("p", {class: "workq-note"}, "text", child)`.
 * @param {Document} document
 * @returns {MakeElement}
 */
export function elementMaker(document) {
  return function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
    // JupyterLab looks at the focused element alone: without this a key pressed on a button is its shortcut.
    if (FOCUSABLE.has(tag) || attributes.tabindex !== undefined) {
      setAttribute(element, "data-lm-suppress-shortcuts", "true");
    }
    element.append(...children);
    return element;
  };
}
