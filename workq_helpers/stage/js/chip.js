// @ts-check

import { setAttribute, setHidden, setStyle, setText } from "./dom.js";
import { formatCount, isolated, plural } from "./words.js";

/** @import { Chip } from "./frame.d.ts" */
/** @import { MakeElement } from "./types.d.ts" */

const DOTS_DRAWN = 5; // more are a number

/** @type {Record<string, string>} */
const PHASES = {
  dispatched: "handed to this worker, waits for its turn",
  working: "being worked on",
  finished: "worked on, not acknowledged",
};

/** One message, drawn as itself. An element is used again for another message when the first has gone. */
export class ChipView {
  /** @type {number | null} The message's. */
  key = null;
  /** @type {Animation | null} */
  flight = null;
  #facts = "";

  /** @param {MakeElement} h */
  constructor(h) {
    this.mark = h("span", { class: "workq-mark", role: "img" });
    this.text = h("span", { class: "workq-text" });
    this.dots = h("span", { class: "workq-dots", "aria-hidden": "true" });
    this.phase = h("span", { class: "workq-phase" });
    this.redelivered = h("span", { class: "workq-badge workq-redelivered" });
    this.worked = h("span", { class: "workq-badge workq-worked" });
    this.back = h("span", { class: "workq-badge workq-back" });
    this.badges = h("span", { class: "workq-badges" }, this.back, this.redelivered, this.worked);
    this.element = h("li", { class: "workq-message" }, this.mark, this.text, this.dots, this.phase, this.badges);
  }

  /**
   * @param {Chip} message
   * @param {string} place
   * @param {string} word What becomes of it in this place, where the place alone doesn't say so.
   */
  draw(message, place, word = "") {
    if (this.key !== message.key) {
      this.land();
      this.key = message.key;
      setAttribute(this.element, "data-key", message.key);
    }
    const facts =
      `${message.task}|${place}|${message.persistent}|${message.dots}|${message.redelivered}|` +
      `${message.deliveries}|${message.worked}|${message.back_from}|${word}`;
    if (this.#facts === facts) return;
    this.#facts = facts;
    setAttribute(this.element, "data-place", place);
    setAttribute(this.element, "title", describe(message, place));
    setText(this.text, message.task);
    setText(this.phase, word);
    setHidden(this.phase, word === "");
    this.#drawMark(keptAs(message));
    this.#drawDots(message.dots);
    this.#drawBadges(message);
  }

  /** Stops moving, where it moves. */
  land() {
    this.flight?.cancel();
    this.flight = null;
  }

  /** @param {string} kept */
  #drawMark(kept) {
    setHidden(this.mark, kept === "");
    setAttribute(this.mark, "data-kept", kept);
    setAttribute(this.mark, "aria-label", kept);
  }

  /** @param {number} dots */
  #drawDots(dots) {
    setText(this.dots, dots > DOTS_DRAWN ? `${formatCount(dots)}×` : "");
    setStyle(this.dots, "--workq-dots", String(dots));
    setHidden(this.dots, dots === 0);
  }

  /** @param {Chip} message */
  #drawBadges({ redelivered, worked, back_from }) {
    const again = worked >= 2;
    setHidden(this.back, back_from === "");
    setText(this.back, back_from && `back from ${isolated(back_from)}`);
    setHidden(this.redelivered, !redelivered);
    setText(this.redelivered, redelivered ? "redelivered" : "");
    setHidden(this.worked, !again);
    setText(this.worked, again ? `worked on ${worked}×` : "");
    const badges = Number(redelivered) + Number(again) + Number(back_from !== "");
    setHidden(this.badges, badges === 0);
    setAttribute(this.element, "data-badges", badges || null);
    setAttribute(this.element, "data-redelivered", redelivered);
  }
}

/**
 * Whether the message was published persistent, as a word; none where nobody saw it published.
 * @param {Chip} message
 */
export function keptAs({ persistent }) {
  if (persistent === null) return "";
  return persistent ? "persistent" : "transient";
}

/**
 * @param {Chip} message
 * @param {string} place
 */
function describe(message, place) {
  const facts = [isolated(message.task), keptAs(message), plural(message.dots, "dot"), PHASES[place] ?? ""];
  if (message.deliveries > 0) facts.push(`delivered ${message.deliveries}×`);
  if (message.worked > 0) facts.push(`worked on ${message.worked}×`);
  if (message.redelivered) facts.push("redelivered");
  if (message.back_from) facts.push(`came back from ${isolated(message.back_from)}`);
  return facts.filter((fact, index) => index === 0 || fact !== "").join(" · ");
}
