// @ts-check

import { setAttribute, setHidden, setText } from "./dom.js";

/** @import { Frame, StoryLine } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @type {Record<StoryLine["mark"], string>} */
export const MARK_ICONS = { "": "", kill: "✕", crash: "⚠\uFE0E", outage: "⚠\uFE0E", loss: "✖\uFE0E" };

/**
 * What happened last, a sentence a line. Screen readers hear the same sentences from the summary, at their pace.
 * @param {Ui} ui
 */
export function story(ui) {
  const list = ui.h("ol", { class: "workq-story-lines" });
  /** @type {ReturnType<typeof storyLine>[]} One for each line that there ever was; a new sentence moves all of them up. */
  const lines = [];
  return {
    element: ui.h("section", { role: "group", class: "workq-story", "aria-label": "What happened last" }, list),
    /** @param {Frame} frame */
    draw(frame) {
      while (lines.length < frame.story.length) {
        const line = storyLine(ui);
        lines.push(line);
        list.append(line.element);
      }
      lines.forEach((line, index) => {
        line.draw(frame.story[index]);
      });
    },
  };
}

/** @param {Ui} ui */
function storyLine({ h }) {
  const seconds = h("span", { class: "workq-story-seconds" });
  const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
  const text = h("span", { class: "workq-story-text" });
  const element = h("li", { class: "workq-story-line" }, seconds, icon, text);
  return {
    element,
    /** @param {StoryLine | undefined} line */
    draw(line) {
      setHidden(element, line === undefined);
      if (line === undefined) return;
      setAttribute(element, "data-mark", line.mark || null);
      setText(seconds, `${line.seconds.toFixed(1)} s`);
      setText(icon, MARK_ICONS[line.mark]);
      setText(text, line.text);
      setAttribute(text, "title", line.text);
    },
  };
}
