// @ts-check

import { ON_CLICK } from "./behavior.js";
import { setAttribute, setHidden, setText } from "./dom.js";

/** @import { Frame, StoryLine } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/** @type {Record<StoryLine["mark"], string>} */
export const MARK_ICONS = { "": "", kill: "✕", crash: "⚠\uFE0E", outage: "⚠\uFE0E", loss: "✖\uFE0E" };

const LOOK_SECONDS = 0.25; // after new sentences, or with other room, whether each has room

/**
 * What happened last, a sentence a line, the whole of it on request. Screen readers hear the same sentences from the
 * summary, at their pace.
 * @param {Ui} ui
 */
export function story(ui) {
  const { h } = ui;
  const list = h("ol", { class: "workq-story-lines" });
  const title = "Show whole sentences";
  const whole = h("button", { type: "button", class: "workq-button workq-story-whole", title, hidden: true });
  const element = h(
    "section",
    { role: "group", class: "workq-story", "aria-label": "What happened last" },
    list,
    whole,
  );
  /** @type {ReturnType<typeof storyLine>[]} One for each line that there ever was; a new sentence moves all of them up. */
  const lines = [];
  let opened = false;
  let looking = false;
  const draw = () => {
    setAttribute(element, "data-whole", opened);
    setAttribute(whole, "aria-expanded", String(opened));
    setText(whole, opened ? "Less" : "More");
  };
  const look = () => {
    looking = false;
    const focused = ui.document.activeElement === whole;
    setHidden(whole, !opened && !focused && !lines.some((line) => line.isCut()));
  };
  whole[ON_CLICK] = () => {
    opened = !opened;
    draw();
  };
  draw();
  const lookSoon = () => {
    if (!looking) ui.timers.after(LOOK_SECONDS, look);
    looking = true;
  };
  ui.resizes.watch(list, lookSoon);
  return {
    element,
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
      lookSoon();
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
    isCut: () => text.scrollWidth > text.clientWidth,
    /** @param {StoryLine | undefined} line */
    draw(line) {
      setHidden(element, line === undefined);
      if (line === undefined) return;
      setAttribute(element, "data-mark", line.mark || null);
      setText(seconds, `${line.seconds.toFixed(1)} s`);
      setText(icon, MARK_ICONS[line.mark]);
      setText(text, line.text);
    },
  };
}
