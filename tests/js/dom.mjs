// A small fake of the browser: as much of the DOM as the stage uses, a clock that only moves when told, and a count of
// every write, so that a test can see what a frame touched.

class FakeNode {
  constructor(document) {
    this.ownerDocument = document;
    this.childNodes = [];
    this.parentNode = null;
  }

  get firstChild() {
    return this.childNodes[0] ?? null;
  }

  get nextSibling() {
    const siblings = this.parentNode?.childNodes ?? [];
    return siblings[siblings.indexOf(this) + 1] ?? null;
  }

  get textContent() {
    return this.childNodes.map((child) => child.textContent).join("");
  }

  set textContent(text) {
    this.ownerDocument.writes.push(`text ${text}`);
    for (const child of this.childNodes) child.parentNode = null;
    this.childNodes = text === "" ? [] : [new FakeText(this.ownerDocument, text)];
    for (const child of this.childNodes) child.parentNode = this;
  }

  append(...children) {
    for (const child of children) {
      this.insertBefore(typeof child === "string" ? new FakeText(this.ownerDocument, child) : child, null);
    }
  }

  insertBefore(child, next) {
    if (next !== null && next.parentNode !== this) throw new Error("insertBefore: not a child of this element");
    if (child.parentNode) child.remove();
    this.ownerDocument.writes.push("insert");
    const index = next === null ? this.childNodes.length : this.childNodes.indexOf(next);
    this.childNodes.splice(index, 0, child);
    child.parentNode = this;
  }

  remove() {
    if (this.parentNode === null) return;
    this.ownerDocument.writes.push("remove");
    const { activeElement, body } = this.ownerDocument;
    if (this.contains(activeElement)) this.ownerDocument.activeElement = body;
    this.parentNode.childNodes.splice(this.parentNode.childNodes.indexOf(this), 1);
    this.parentNode = null;
  }

  contains(other) {
    for (let at = other; at; at = at.parentNode) if (at === this) return true;
    return false;
  }
}

class FakeText extends FakeNode {
  constructor(document, text) {
    super(document);
    this.text = text;
  }

  get textContent() {
    return this.text;
  }
}

export class FakeElement extends FakeNode {
  constructor(document, tag) {
    super(document);
    this.tag = tag;
    this.attributes = new Map();
    this.listeners = [];
    this.animations = [];
    this.box = { left: 0, top: 0, width: 100, height: 20 };
    this.properties = new Map();
    this.style = {
      setProperty: (name, value) => {
        document.writes.push(`style ${name}`);
        this.properties.set(name, value);
      },
    };
    this.fields = {};
  }

  set innerHTML(_) {
    throw new Error("innerHTML is never used");
  }

  set outerHTML(_) {
    throw new Error("outerHTML is never used");
  }

  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  setAttribute(name, value) {
    this.ownerDocument.writes.push(`${name}=${value}`);
    this.attributes.set(name, value);
  }

  removeAttribute(name) {
    this.ownerDocument.writes.push(`no ${name}`);
    this.attributes.delete(name);
  }

  get open() {
    return this.attributes.has("open");
  }

  set open(open) {
    if (open) this.attributes.set("open", "");
    else this.attributes.delete("open");
  }

  get hidden() {
    return this.attributes.has("hidden");
  }

  get value() {
    if (this.fields.value !== undefined) return this.fields.value;
    return this.tag === "select"
      ? (this.childNodes[0]?.getAttribute("value") ?? "")
      : (this.getAttribute("value") ?? "");
  }

  set value(value) {
    this.ownerDocument.writes.push(`value ${value}`);
    this.fields.value = String(value);
  }

  get tagName() {
    return this.tag.toUpperCase();
  }

  get type() {
    return this.getAttribute("type") ?? "";
  }

  get form() {
    return this.closest("form");
  }

  requestSubmit() {
    this.fire("submit");
  }

  get checked() {
    return this.fields.checked ?? false;
  }

  set checked(checked) {
    this.fields.checked = checked;
  }

  focus() {
    this.ownerDocument.activeElement = this;
    this.fire("focusin");
  }

  select() {
    this.selected = true;
  }

  getBoundingClientRect() {
    return this.box;
  }

  animate(keyframes, options) {
    const animation = { keyframes, options, cancelled: false, cancel: () => (animation.cancelled = true) };
    this.animations.push(animation);
    return animation;
  }

  closest(selector) {
    for (let at = this; at instanceof FakeElement; at = at.parentNode) if (matches(at, selector)) return at;
    return null;
  }

  addEventListener(name, act, capture = false) {
    this.listeners.push({ name, act, capture });
  }

  removeEventListener(name, act, capture = false) {
    this.listeners = this.listeners.filter((one) => one.name !== name || one.act !== act || one.capture !== capture);
  }

  /** Lets an event happen here; it goes up to the root as in a browser. */
  fire(name, more = {}) {
    const event = { target: this, prevented: false, preventDefault: () => (event.prevented = true), ...more };
    const bubbles = name !== "toggle";
    for (let at = this; at; at = at.parentNode) {
      for (const one of [...(at.listeners ?? [])]) {
        if (one.name === name && (bubbles || one.capture || at === this)) one.act(event);
      }
    }
    return event;
  }

  /** A click; on a submit button it also submits, as in a browser. */
  click() {
    if (this.closest("fieldset")?.disabled) return;
    this.fire("click");
    if (this.getAttribute("type") === "submit") this.closest("form").fire("submit");
  }

  $(selector) {
    return this.$$(selector)[0] ?? null;
  }

  $$(selector) {
    const steps = selector.trim().split(/\s+(?![^[]*\])/);
    const found = [];
    const visit = (element) => {
      for (const child of element.childNodes) {
        if (!(child instanceof FakeElement)) continue;
        if (fits(child, steps)) found.push(child);
        visit(child);
      }
    };
    visit(this);
    return found;
  }
}

function fits(element, steps) {
  if (!matches(element, steps.at(-1))) return false;
  if (steps.length === 1) return true;
  for (let at = element.parentNode; at instanceof FakeElement; at = at.parentNode) {
    if (fits(at, steps.slice(0, -1))) return true;
  }
  return false;
}

function matches(element, selector) {
  for (const [part] of selector.matchAll(/\[[^\]]+\]|[.]?[\w-]+/g)) {
    if (part.startsWith(".")) {
      if (!(element.getAttribute("class") ?? "").split(" ").includes(part.slice(1))) return false;
    } else if (part.startsWith("[")) {
      const [, name, value] = /^\[([\w-]+)(?:="?([^"]*)"?)?\]$/.exec(part);
      const own = element.getAttribute(name);
      if (own === null || (value !== undefined && own !== value)) return false;
    } else if (element.tag !== part) return false;
  }
  return true;
}

/** A page with an element for a view, and a clock. */
export function fakePage({ reducedMotion = false } = {}) {
  const document = { writes: [], activeElement: null };
  document.createElement = (tag) => new FakeElement(document, tag);
  document.createRange = () => ({ selectNodeContents: (node) => (document.selectedNode = node) });
  document.body = document.createElement("body");
  document.activeElement = document.body;
  let now = 0;
  let serial = 0;
  const timers = new Map();
  const frames = new Map();
  const window = {
    listeners: [],
    performance: { now: () => now },
    setTimeout(act, milliseconds) {
      timers.set(++serial, { act, at: now + milliseconds });
      return serial;
    },
    clearTimeout: (timer) => timers.delete(timer),
    requestAnimationFrame(act) {
      frames.set(++serial, act);
      return serial;
    },
    cancelAnimationFrame: (request) => frames.delete(request),
    matchMedia: () => ({ matches: reducedMotion }),
    addEventListener: (name, act) => window.listeners.push({ name, act }),
    removeEventListener(name, act) {
      window.listeners = window.listeners.filter((one) => one.name !== name || one.act !== act);
    },
    fire: (name) => window.listeners.filter((one) => one.name === name).forEach((one) => one.act({})),
    navigator: {},
    getSelection: () => ({ removeAllRanges() {}, addRange: (range) => (document.selected = range) }),
  };
  document.defaultView = window;
  const page = {
    document,
    window,
    timers,
    frames,
    /** A new place for a view. */
    place() {
      const el = document.createElement("div");
      document.body.append(el);
      return el;
    },
    /** The browser draws. */
    paint() {
      const acts = [...frames.values()];
      frames.clear();
      for (const act of acts) act(now);
    },
    /** Time passes, and what is due happens. */
    pass(seconds) {
      const end = now + seconds * 1000;
      for (;;) {
        const due = [...timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
        if (due === undefined) break;
        timers.delete(due[0]);
        now = Math.max(now, due[1].at);
        due[1].act();
      }
      now = end;
    },
  };
  return page;
}

/** Python's side of the widget. */
export class FakeModel {
  constructor(frame) {
    this.frame = frame;
    this.sent = [];
    this.listeners = [];
  }

  get(name) {
    return name === "frame" ? this.frame : undefined;
  }

  on(name, act) {
    this.listeners.push({ name, act });
  }

  off(name, act) {
    this.listeners = this.listeners.filter((one) => one.name !== name || one.act !== act);
  }

  send(message) {
    this.sent.push(message);
  }

  fire(name, ...values) {
    for (const one of [...this.listeners]) if (one.name === name) one.act(...values);
  }

  /** A new frame comes from Python. */
  show(frame) {
    this.frame = { ...frame, number: (this.frame?.number ?? 0) + 1 };
    this.fire("change:frame");
  }

  answer(message) {
    this.fire("msg:custom", message);
  }

  /** What was sent since the last time, without the ids. */
  take() {
    return this.sent.splice(0).map(({ id: _, ...rest }) => rest);
  }
}
