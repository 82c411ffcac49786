// @ts-check

import { button } from "./buttons.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import { scrubber } from "./scrubber.js";
import { scrubberMarks } from "./scrubber_marks.js";
import { speedSelect } from "./speed_select.js";
import { formatCount } from "./words.js";

/** @import { Commands } from "./commands.js" */
/** @import { Frame, PlaybackBar } from "./frame.d.ts" */
/** @import { Value } from "./types.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * Which moment is shown, and the controls that move it.
 * @param {Ui} ui
 * @param {Commands} commands
 */
export function playbackBar(ui, commands) {
  const { h } = ui;
  const previous = stepButton(ui, "◀\uFE0E❘", "Previous event", -1);
  const speed = speedSelect(ui, commands);
  const play = playButton(ui, () => speed.chosen());
  const next = stepButton(ui, "❘▶\uFE0E", "Next event", 1);
  const moment = scrubber(ui, commands);
  const counts = h("span");
  const events = h("span", { class: "workq-events" }, h("span", { class: "workq-events-word" }, "event "), counts);
  const where = h("div", { class: "workq-where" }, moment.time, events);
  const live = button(ui, "Live", "live", { class: "workq-button workq-live" });
  const banner = h("p", { class: "workq-banner" });
  const marks = scrubberMarks(ui);
  const recording = h("div", { class: "workq-recording" }, marks.element, moment.element);
  const controls = [previous, play.element, next, speed.element, recording, where, live];
  const player = h("div", { class: "workq-player" }, ...controls);
  return {
    element: h(
      "section",
      { role: "group", class: "workq-playback", "aria-label": "Playback", "data-control": "player" },
      player,
      banner,
    ),
    scrubber: moment,
    /** @param {Frame} frame */
    draw({ playback }) {
      play.draw(playback.mode === "paused");
      setAttribute(live, "aria-pressed", playback.mode === "live" ? "true" : "false");
      moment.draw(playback);
      marks.draw(playback);
      setText(counts, `${formatCount(playback.event)} of ${formatCount(playback.events)}`);
      setText(banner, sayOf(playback));
      setHidden(banner, playback.mode === "live");
      setAttribute(banner, "data-mode", playback.mode);
    },
  };
}

/**
 * @param {Ui} ui
 * @param {string} icon
 * @param {string} name
 * @param {number} by
 */
function stepButton(ui, icon, name, by) {
  return button(ui, icon, "step", {
    command: () => ({ by }),
    "aria-label": name,
    title: name,
    class: "workq-button workq-transport",
  });
}

/**
 * Pause, or Play where the picture stands still. Its sign is shown alone where there is little room.
 * @param {Ui} ui
 * @param {() => Record<string, Value>} speed What `play` is told of it.
 */
function playButton(ui, speed) {
  const sign = ui.h("span", { "aria-hidden": "true" });
  const word = ui.h("span", { class: "workq-play-word" });
  const element = button(ui, "", "pause", {
    class: "workq-button workq-play",
    command: () => (element.getAttribute("data-do") === "play" ? speed() : {}),
  });
  element.append(sign, word);
  return {
    element,
    /** @param {boolean} paused */
    draw(paused) {
      setText(sign, paused ? "▶\uFE0E" : "❚❚");
      setText(word, paused ? " Play" : " Pause");
      setAttribute(element, "aria-label", paused ? "Play" : "Pause");
      setAttribute(element, "data-do", paused ? "play" : "pause");
      setAttribute(element, "title", paused ? "Replay the recording from here" : "Pause the picture");
    },
  };
}

/** @param {PlaybackBar} playback */
function sayOf({ mode, caption }) {
  if (mode === "live") return "";
  return `${caption} The buttons below act on RabbitMQ as it is now.`;
}
