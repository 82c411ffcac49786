// @ts-check

import { button } from "./buttons.js";
import { setAttribute, setStyle, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";
import { MARK_ICONS } from "./story.js";
import { formatSeconds } from "./words.js";

/** @import { PlaybackBar, StoryLine } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

const MARK_PIXELS = 16; // its width

/**
 * The kills, crashes and losses of the recording, above the scrubber where they happened; one that is pressed is shown.
 * @param {Ui} ui
 */
export function scrubberMarks(ui) {
  const element = ui.h("div", { class: "workq-marks", role: "group", "aria-label": "Kills, crashes and losses" });
  /** @type {PlaybackBar | null} */
  let drawn = null;
  let width = 0;
  const marks = new KeyedList(
    element,
    (/** @type {StoryLine} */ mark) => mark.number,
    () => markButton(ui),
    (mark) => {
      ui.saveFocus(mark.element, element.parentElement?.querySelector("input"));
      ui.buttons.forget(mark.element);
    },
  );
  /** @param {PlaybackBar} playback */
  const draw = (playback) => {
    drawn = playback;
    marks.draw(playback.marks);
    const end = playback.end_seconds;
    const places = spread(
      playback.marks.map(({ seconds }) => (end > 0 ? seconds / end : 0)),
      width > 0 ? MARK_PIXELS / width : 0,
    );
    playback.marks.forEach((mark, index) => {
      marks.parts.get(mark.number)?.place(places[index]);
    });
  };
  ui.resizes.watch(element, () => {
    width = element.clientWidth;
    if (drawn) draw(drawn);
  });
  return { element, draw };
}

/**
 * Shares of a line, moved as little as keeps each so far from the one before that both can be pressed; where there are
 * too many for that, they are equally far from each other.
 * @param {number[]} wanted From the smallest on.
 * @param {number} gap
 */
function spread(wanted, gap) {
  const least = Math.min(gap, 1 / Math.max(1, wanted.length - 1));
  const places = [...wanted];
  places.forEach((place, index) => {
    if (index > 0) places[index] = Math.max(place, places[index - 1] + least);
  });
  return places.map((place, index) => Math.min(place, 1 - (places.length - 1 - index) * least));
}

/** @param {Ui} ui */
function markButton(ui) {
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
    },
    /** @param {number} share Of the line, from its beginning. */
    place(share) {
      setStyle(element, "--workq-at", share.toFixed(4));
    },
  };
}
