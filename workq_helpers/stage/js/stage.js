// @ts-check
// The stage: draws the frames that Python computes, and sends commands back.
//
// Data flows one way. Python puts a whole picture into the trait `frame`; a view keeps the newest one and draws it in
// the next animation frame, changing only what differs from what is on the page. Buttons send `{id, do, ...}` and
// change nothing by themselves. All text is set as text, never as markup.

import { View } from "./view.js";

/** @import { Model } from "./types.d.ts" */

/**
 * Called by anywidget for each view; what it returns ends the view.
 * @param {{model: Model, el: HTMLElement}} place
 */
function render({ model, el }) {
  const view = new View(model, el);
  view.open(el);
  return () => view.close();
}

export default { render };
