// @ts-check
// The keys of a lesson's forms, which are made of ipywidgets: arrows choose, Enter and Space press, as on any page.
//
// JupyterLab takes these for its own wherever the focus is on no field for text, and ipywidgets' radio buttons have no
// name that makes one group of them. All other keys are left to JupyterLab: whoever chose an answer goes on with
// Shift+Enter.

const FORM = ".workq-form";
const GROUP = ".widget-radio-box";
const KEYS = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Enter", " "]);

let groups = 0;

/**
 * Gives forms their keys, from now on.
 * @param {Window} page
 */
export function keepFormKeys(page) {
  // JupyterLab listens at the document, as early as one can there; the window comes before it.
  page.addEventListener("keydown", keepKey, { capture: true });
  // A form is drawn piece by piece, and again: its groups are seen to when they are used.
  page.addEventListener("focusin", nameGroup);
}

/** @param {KeyboardEvent} event */
function keepKey(event) {
  const focused = inForm(event, "*");
  if (!focused) return;
  const alone = !(event.shiftKey || event.ctrlKey || event.altKey || event.metaKey);
  // JupyterLab has no shortcuts for what bears this.
  if (alone && KEYS.has(event.key)) focused.setAttribute("data-lm-suppress-shortcuts", "true");
  else focused.removeAttribute("data-lm-suppress-shortcuts");
}

/** @param {Event} event */
function nameGroup(event) {
  const buttons = [...(inForm(event, GROUP)?.querySelectorAll("input") ?? [])];
  if (buttons.every((button) => button.name)) return;
  groups += 1;
  for (const button of buttons) button.name = `workq-choices-${groups}`;
}

/**
 * What an event of a form is about: the next such element from its target outwards. The target may be the page itself.
 * @param {Event} event
 * @param {string} selector
 * @returns {Element | null | undefined}
 */
function inForm(event, selector) {
  const target = /** @type {Partial<Element>} */ (event.target);
  return target.closest?.(FORM) && target.closest?.(selector);
}
