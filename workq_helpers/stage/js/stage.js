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

/**
 * Called by anywidget for each model. One that has drawn already is the kernel's, found again by a page that was loaded
 * anew: JupyterLab's panel shows it even if the cell's output was not saved.
 * @param {{model: Model}} found
 */
function initialize({ model }) {
  const panel = window.workqPanel;
  const context = model.widget_manager?.context;
  const frame = model.get("frame");
  if (!panel || !context || frame?.number === undefined || frame.closed) return;
  panel.offer(context, (notebook) => {
    const el = document.createElement("div");
    const view = new View(model, el);
    view.open(el, notebook);
    return () => view.close();
  });
}

export default { initialize, render };
