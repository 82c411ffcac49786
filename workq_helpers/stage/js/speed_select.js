// @ts-check

import { ON_CHANGE } from "./behavior.js";

/** @import { Commands } from "./commands.js" */
/** @import { Ui } from "./ui.js" */

const SPEEDS = [0.25, 0.5, 1, 2, 4];

/**
 * How fast a replay goes: the one that runs, and the next.
 * @param {Ui} ui
 * @param {Commands} commands
 */
export function speedSelect(ui, commands) {
  const element = ui.h(
    "select",
    { class: "workq-input workq-speed", "data-field": "speed", "aria-label": "Speed of the replay" },
    ...SPEEDS.map((speed) => ui.h("option", { value: String(speed) }, `${speed}×`)),
  );
  element.value = "1";
  /** What `play` is told: nothing where it is as fast as it was. */
  const chosen = () => (element.value === "1" ? {} : { speed: Number(element.value) });
  element[ON_CHANGE] = () => {
    if (ui.frame?.playback.mode === "replaying") commands.send({ do: "play", ...chosen() });
  };
  return { element, chosen };
}
