// @ts-check

/** @import { ChipView } from "./chip.js" */
/** @import { Chip } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * The chips in one place: a queue, a worker's slots, an end.
 * @template {Chip} Message
 */
export class ChipList {
  /** @type {ChipView[]} */
  chips = [];

  /**
   * @param {Ui} ui
   * @param {HTMLElement} parent
   * @param {string} name The place's, as `eachMessage` of `flights.js` names it.
   */
  constructor(ui, parent, name) {
    this.ui = ui;
    this.parent = parent;
    this.name = name;
  }

  /**
   * @param {Message[]} messages
   * @param {(message: Message) => string} placeOf
   * @param {(message: Message) => string} wordOf
   */
  draw(messages, placeOf, wordOf = () => "") {
    this.chips = this.#chipsFor(messages);
    let next = this.parent.firstChild;
    messages.forEach((message, index) => {
      const chip = this.chips[index];
      chip.draw(message, placeOf(message), wordOf(message));
      if (chip.element === next) next = next.nextSibling;
      else this.parent.insertBefore(chip.element, next);
      this.ui.places.set(message.key, { chip, place: this.name });
    });
  }

  clear() {
    for (const chip of this.chips) this.ui.chips.give(chip);
    this.chips = [];
  }

  /**
   * The chip that draws each message already; an element whose message went is used again, without moving it where a
   * whole list was replaced.
   * @param {Message[]} messages
   */
  #chipsFor(messages) {
    const known = new Map(this.chips.map((chip, index) => [chip.key, { chip, index }]));
    const found = messages.map((message) => {
      const one = known.get(message.key);
      known.delete(message.key);
      return one?.chip;
    });
    const spare = [...known.values()];
    const chips = found.map((chip, index) => {
      if (chip !== undefined) return chip;
      const old = spare.shift();
      if (old !== undefined && old.index !== index) old.chip.element.remove();
      return old?.chip ?? this.ui.chips.take();
    });
    for (const { chip } of spare) this.ui.chips.give(chip);
    return chips;
  }
}
