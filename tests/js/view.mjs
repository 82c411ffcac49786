// A view that has drawn a frame, and what a test does with it.

import stage from "../../workq_helpers/stage/js/stage.js";
import { FakeModel } from "./model.mjs";
import { Page } from "./page.mjs";

export function openView(frame, options) {
  const page = new Page(options);
  const model = new FakeModel(frame);
  const el = page.place();
  const close = stage.render({ model, el });
  page.paint();
  return {
    page,
    model,
    el,
    close,
    root: el.$(".workq-stage"),
    $: (selector) => el.$(selector),
    $$: (selector) => el.$$(selector),
    text: (selector) => el.$(selector)?.textContent,
    show(next) {
      model.show(next);
      page.paint();
    },
    press: (selector) => el.$(selector).click(),
    fill(selector, value) {
      el.$(selector).value = value;
      el.$(selector).fire("input");
    },
  };
}

/** Another view of the model of one, in the same page. */
export function openAnother(view) {
  const el = view.page.place();
  const close = stage.render({ model: view.model, el });
  view.page.paint();
  return { el, close };
}

export const shown = (elements) => elements.filter((element) => !element.closest("[hidden]"));
