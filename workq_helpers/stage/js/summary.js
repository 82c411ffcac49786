// @ts-check

import { setText } from "./dom.js";

/** @import { StoryLine } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

const MOST_TOLD = 3; // sentences at a time
const PAUSE_SECONDS = 3; // a screen reader hears news at most this often

/** What happened since the last time, and the picture in a sentence or two, for screen readers. */
export class Summary {
  /** @type {{summary: string, story: StoryLine[]}} */
  #newest = { summary: "", story: [] };
  /** @type {string | null} */
  #told = null;
  #toldNumber = 0; // the newest sentence's that was told
  #toldAt = Number.NEGATIVE_INFINITY;
  /** @type {number | null} */
  #timer = null;

  /** @param {Ui} ui */
  constructor(ui) {
    this.ui = ui;
    this.element = ui.h("p", { class: "workq-summary", "aria-live": "polite", role: "status" });
  }

  /**
   * @param {string} summary
   * @param {StoryLine[]} story
   */
  tell(summary, story) {
    this.#newest = { summary, story };
    if ((summary === this.#told && this.#news().length === 0) || this.#timer !== null) return;
    const wait = PAUSE_SECONDS - (this.ui.now() - this.#toldAt);
    if (wait <= 0) this.#tellNewest();
    else this.#timer = this.ui.timers.after(wait, () => this.#tellNewest());
  }

  #news() {
    const { story } = this.#newest;
    const last = story.at(-1)?.number ?? 0;
    if (last < this.#toldNumber) return story.slice(-1); // a replay went back: what is seen again is told again
    return story.filter((line) => line.number > this.#toldNumber).slice(-MOST_TOLD);
  }

  #tellNewest() {
    this.#timer = null;
    const { summary, story } = this.#newest;
    const news = this.#news();
    if (summary === this.#told && news.length === 0) return;
    this.#told = summary;
    this.#toldNumber = story.at(-1)?.number ?? 0;
    this.#toldAt = this.ui.now();
    setText(this.element, [...news.map((line) => `${line.text}.`), summary].join(" "));
  }
}
