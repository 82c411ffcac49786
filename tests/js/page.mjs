// A page of jsdom for a view, with a clock that only moves when told, and with what jsdom leaves out: animation,
// layout and the clipboard. It notes every write, so that a test can see what a frame touched.

import { JSDOM } from "jsdom";

const BOX = { left: 0, top: 0, width: 100, height: 20 };

export class Page {
  #now = 0;
  #serial = 0;
  #writes = [];
  #observer;
  #listeners = [];
  #resized = new Map();
  timers = new Map();
  frames = new Map();

  constructor({ reducedMotion = false } = {}) {
    this.window = new JSDOM("<!doctype html>").window;
    this.document = this.window.document;
    this.#setClock();
    this.#fillGaps(reducedMotion);
    this.#addTools();
    this.#noteListeners();
    this.#noteWrites();
  }

  /** A new place for a view. */
  place() {
    const el = this.document.createElement("div");
    this.document.body.append(el);
    return el;
  }

  /** The browser draws. */
  paint() {
    const acts = [...this.frames.values()];
    this.frames.clear();
    for (const act of acts) act(this.#now);
  }

  /** Time passes, and what is due happens. */
  pass(seconds) {
    const end = this.#now + seconds * 1000;
    for (;;) {
      const [due] = [...this.timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at);
      if (due === undefined) break;
      this.timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].act();
    }
    this.#now = end;
  }

  /** What was written since the last time. */
  takeWrites() {
    this.#keep(this.#observer.takeRecords());
    return this.#writes.splice(0);
  }

  /** Who listens to the events of a target, by their names. */
  listenersOf(target) {
    return this.#listeners.filter((one) => one.target === target).map((one) => one.name);
  }

  /** Lays elements out: from now on each is so far from the left as `leftOf` says. */
  layOut(leftOf) {
    this.window.Element.prototype.getBoundingClientRect = function () {
      return { ...BOX, left: leftOf(this) };
    };
  }

  /** Gives an element other room. */
  resize(element, width) {
    Object.defineProperty(element, "clientWidth", { configurable: true, value: width });
    this.#resized.get(element)?.([{ target: element }]);
  }

  #setClock() {
    const { window, timers, frames } = this;
    window.performance.now = () => this.#now;
    window.setTimeout = (act, milliseconds) => {
      this.#serial += 1;
      timers.set(this.#serial, { act, at: this.#now + milliseconds });
      return this.#serial;
    };
    window.clearTimeout = (timer) => timers.delete(timer);
    window.requestAnimationFrame = (act) => {
      this.#serial += 1;
      frames.set(this.#serial, act);
      return this.#serial;
    };
    window.cancelAnimationFrame = (request) => frames.delete(request);
  }

  #fillGaps(reducedMotion) {
    const { window } = this;
    window.ResizeObserver = fakeResizeObserver(this.#resized);
    window.matchMedia = () => ({ matches: reducedMotion });
    Object.defineProperty(window.navigator, "clipboard", { writable: true, value: undefined });
    this.layOut(() => 0);
    window.Element.prototype.animate = function (keyframes, options) {
      const animation = { keyframes, options, cancel() {} };
      this.animations = [...(this.animations ?? []), animation];
      return animation;
    };
  }

  #addTools() {
    const { window } = this;
    const { Element, EventTarget, Event } = window;
    Element.prototype.$ = function (selector) {
      return this.querySelector(selector);
    };
    Element.prototype.$$ = function (selector) {
      return [...this.querySelectorAll(selector)];
    };
    /** Lets an event happen here. */
    EventTarget.prototype.fire = function (name, more = {}) {
      const event = Object.assign(new Event(name, { bubbles: name !== "toggle", cancelable: true }), more);
      this.dispatchEvent(event);
      return event;
    };
  }

  #noteListeners() {
    const { prototype } = this.window.EventTarget;
    const { addEventListener, removeEventListener } = prototype;
    const listeners = this.#listeners;
    prototype.addEventListener = function (name, act, capture) {
      listeners.push({ target: this ?? globalThis, name, act, capture });
      addEventListener.call(this, name, act, capture);
    };
    prototype.removeEventListener = function (name, act, capture) {
      const index = listeners.findIndex(
        (one) => one.target === this && one.name === name && one.act === act && one.capture === capture,
      );
      if (index >= 0) listeners.splice(index, 1);
      removeEventListener.call(this, name, act, capture);
    };
  }

  #noteWrites() {
    this.#observer = new this.window.MutationObserver((records) => this.#keep(records));
    this.#observer.observe(this.document, {
      attributes: true,
      characterData: true,
      childList: true,
      subtree: true,
    });
    const writes = this.#writes;
    for (const { prototype } of [this.window.HTMLInputElement, this.window.HTMLSelectElement]) {
      const { get, set } = Object.getOwnPropertyDescriptor(prototype, "value");
      Object.defineProperty(prototype, "value", {
        get,
        set(value) {
          writes.push(`value ${value}`); // what no observer tells
          set.call(this, value);
        },
      });
    }
  }

  #keep(records) {
    for (const { type, target, attributeName, addedNodes, removedNodes } of records) {
      if (type === "attributes") this.#writes.push(`${attributeName}=${target.getAttribute(attributeName)}`);
      else if (type === "characterData") this.#writes.push(`text ${target.data}`);
      for (const node of addedNodes) this.#writes.push(node.nodeName === "#text" ? `text ${node.data}` : "insert");
      for (const node of removedNodes) this.#writes.push(node.nodeName === "#text" ? "no text" : "remove");
    }
  }
}

/** Tells of those elements that `Page.resize` is called for. */
function fakeResizeObserver(watched) {
  return class {
    constructor(act) {
      this.act = act;
      this.own = new Set();
    }

    observe(element) {
      watched.set(element, this.act);
      this.own.add(element);
    }

    disconnect() {
      for (const element of this.own) watched.delete(element);
    }
  };
}
