// @ts-check

/** @import { ItemPart } from "./types.d.ts" */

/**
 * A list of elements that follows a list of items by key. What stays is not touched, so focus stays too.
 * @template Item
 * @template {ItemPart<Item>} ListPart
 */
export class KeyedList {
  /** @type {Map<string | number, ListPart>} */
  parts = new Map();

  /**
   * @param {HTMLElement} parent
   * @param {(item: Item) => string | number} keyOf
   * @param {(item: Item) => ListPart} make
   * @param {(part: ListPart) => void} onRemove Called before the element of an item that went is removed.
   */
  constructor(parent, keyOf, make, onRemove = () => {}) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.make = make;
    this.onRemove = onRemove;
  }

  /** @param {Item[]} items */
  draw(items) {
    this.#removeAllBut(new Set(items.map(this.keyOf)));
    let next = this.parent.firstChild;
    items.forEach((item, index) => {
      const part = this.#partOf(item);
      if (part.element === next) next = next.nextSibling;
      else this.parent.insertBefore(part.element, next);
      part.draw(item, index);
    });
  }

  /** @param {Set<string | number>} keys */
  #removeAllBut(keys) {
    for (const [key, part] of this.parts) {
      if (keys.has(key)) continue;
      this.onRemove(part);
      part.element.remove();
      this.parts.delete(key);
    }
  }

  /** @param {Item} item */
  #partOf(item) {
    const key = this.keyOf(item);
    let part = this.parts.get(key);
    if (part === undefined) {
      part = this.make(item);
      this.parts.set(key, part);
    }
    return part;
  }
}
