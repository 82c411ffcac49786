// @ts-check

import { button } from "./buttons.js";
import { setAttribute, setStyle, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";
import { MARK_ICONS } from "./story.js";
import { formatSeconds } from "./words.js";

/** @import { PlaybackBar, StoryLine } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * The kills, crashes and losses of the recording, above the scrubber where they happened; one that is pressed is shown.
 * @param {Ui} ui
 */
export function scrubberMarks(ui) {
  const element = ui.h("div", { class: "workq-marks", role: "group", "aria-label": "Kills, crashes and losses" });
  let endSeconds = 0;
  const marks = new KeyedList(
    element,
    (/** @type {StoryLine} */ mark) => mark.number,
    () => markButton(ui, () => endSeconds),
    (mark) => {
      ui.saveFocus(mark.element, element.parentElement?.querySelector("input"));
      ui.buttons.forget(mark.element);
    },
  );
  return {
    element,
    /** @param {PlaybackBar} playback */
    draw(playback) {
      endSeconds = playback.end_seconds;
      marks.draw(playback.marks);
    },
  };
}

/**
 * @param {Ui} ui
 * @param {() => number} end
 */
function markButton(ui, end) {
  let seconds = 0;
  const element = button(ui, "", "seek", { class: "workq-scrubber-mark", command: () => ({ seconds }) });
  return {
    element,
    /** @param {StoryLine} mark */
    draw(mark) {
      seconds = mark.seconds;
      const name = `${formatSeconds(mark.seconds)}: ${mark.text}`;
      setAttribute(element, "data-mark", mark.mark);
      setAttribute(element, "aria-label", name);
      setAttribute(element, "title", name);
      setText(element, MARK_ICONS[mark.mark]);
      setStyle(element, "--workq-at", end() > 0 ? (mark.seconds / end()).toFixed(4) : "0");
    },
  };
}
