// The stage: draws the frames that Python computes, and sends commands back.
//
// Data flows one way. Python puts a whole picture into the trait `frame`; `render` keeps the newest one and draws it
// in the next animation frame, changing only what differs from what is on the page. Buttons send `{id, do, ...}` and
// change nothing by themselves. All text is set as text, never as markup.

const SILENCE_SECONDS = 4.5; // Python sends a frame at least every 2 s; after this long without one the view is dead
const UNHEARD_SECONDS = 4.5; // after this long without a receipt a command has not arrived
const SUMMARY_SECONDS = 3; // a screen reader hears news at most this often
const CONFIRM_SECONDS = 5; // how long "press again" waits
const FLIGHT_MILLISECONDS = 190; // how long a chip takes from its old place to its new one
const RING_MILLISECONDS = 1500;
const MOST_FLIGHTS = 20; // more at once is not a movement that an eye can follow
const DRIFT_SECONDS = 0.35; // a bar that is off by more than this is set right
const SHORTEST_RUN_SECONDS = 0.15; // a bar that would be full sooner is drawn full
const COMPACT_FROM = 5; // this many workers: consoles fold
const CROWD_FROM = 9; // this many: small cards in a grid of their own row
const FREE_SLOTS_DRAWN = 4;
const DOTS_DRAWN = 5; // more are a number
const CROWD_SLOTS = 1; // how many waiting messages a small card draws; the others are counted

const SILENT =
  "No news from the kernel. It is busy, stopped or was restarted, so this picture may be out of date and its " +
  "controls are off. If the kernel was restarted, run the cells again from the top.";
const UNHEARD =
  "The kernel has not taken what was pressed here. If a cell is running, it does so when that cell ends; if none is, " +
  "reload this page and press again.";
const DISCONNECTED =
  "This picture has lost its kernel: it was restarted or stopped. The controls are off. Run the cells again from the " +
  "top for a new one.";

const WORKER_ICONS = {
  starting: "◔",
  idle: "○",
  busy: "▶\uFE0E",
  frozen: "❄\uFE0E",
  reconnecting: "↻",
  stopping: "◑",
  stopped: "■",
  killed: "✕",
  crashed: "⚠\uFE0E",
};
const BROKER_ICONS = { up: "●", stopping: "◑", down: "✕", "coming back": "◔" };
const ENDED = new Set(["stopped", "killed", "crashed"]);
const ENDS = [
  { name: "lost", icon: "✕", title: "Lost", note: "Delivered, never finished: nobody has them any more." },
  { name: "done", icon: "✓", title: "Done", note: "" },
  { name: "discarded", icon: "⊘", title: "Discarded", note: "Dropped on purpose or purged." },
  { name: "returned", icon: "↩\uFE0E", title: "Returned", note: "No queue for them: sent back to the publisher." },
  { name: "refused", icon: "⊗", title: "Refused", note: "The broker would not take them." },
  { name: "unknown", icon: "?", title: "Unknown", note: "Nobody here saw what became of them." },
];
const PHASES = {
  dispatched: "handed to this worker, waits for its turn",
  working: "being worked on",
  finished: "worked on, not acknowledged",
};

// ---------------------------------------------------------------------------------------------------- small tools

const NUMBERS = new Intl.NumberFormat("en-US");
const formatCount = (value) => (value === null || value === undefined ? "–" : NUMBERS.format(value));
const formatSeconds = (value) => `${(value ?? 0).toFixed(1)} s`;
const plural = (count, one, many = `${one}s`) => `${formatCount(count)} ${count === 1 ? one : many}`;
const isTextField = (element) => element.tagName === "INPUT" && !["checkbox", "range"].includes(element.type);
const countDots = (text) => text.split(".").length - 1;

const FOCUSABLE = new Set(["button", "input", "select", "summary", "a"]);

const TEXT = Symbol("text drawn");
const ATTRIBUTES = Symbol("attributes drawn");
const STYLES = Symbol("styles drawn");
const COMMAND = Symbol("command that a control sends");
const MAIN = Symbol("main button of a form");
const ACT = Symbol("what a button does in this view alone");
const CHANGED = Symbol("what a change of this input does");
const OPEN = Symbol("open, as drawn");
const TOGGLED = Symbol("the learner opened or closed it");
const WHY = Symbol("why it is off");
const TITLE = Symbol("title while it is on");

/** Sets text, if it is another. */
function setText(element, value) {
  if (element[TEXT] === value) return;
  element[TEXT] = value;
  element.textContent = value;
}

/** Sets an attribute, if it is another; null and false remove it. */
function setAttribute(element, name, value) {
  const attributes = (element[ATTRIBUTES] ??= {});
  if (attributes[name] === value) return;
  attributes[name] = value;
  if (value === null || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Sets a CSS property of its own, if it is another. */
function setStyle(element, name, value) {
  const styles = (element[STYLES] ??= {});
  if (styles[name] === value) return;
  styles[name] = value;
  element.style.setProperty(name, value);
}

const setHidden = (element, hidden) => setAttribute(element, "hidden", Boolean(hidden));

/** Makes elements: `h("p", {class: "workq-note"}, "text", child)`. */
function elementMaker(document) {
  return function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(element, name, value);
    // JupyterLab looks at the focused element alone: without this a key pressed on a button is its shortcut.
    if (FOCUSABLE.has(tag) || attributes?.tabindex !== undefined) {
      setAttribute(element, "data-lm-suppress-shortcuts", "true");
    }
    element.append(...children);
    return element;
  };
}

/**
 * A list of elements that follows a list of items by key. What stays is not touched, so focus stays too.
 * `make(item)` returns an object with `element` and `draw(item, index)`.
 */
function keyedList(parent, keyOf, make, onRemove = () => {}) {
  const parts = new Map();
  return {
    parts,
    draw(items) {
      const gone = new Set(parts.keys());
      for (const item of items) gone.delete(keyOf(item));
      for (const key of gone) {
        onRemove(parts.get(key));
        parts.get(key).element.remove();
        parts.delete(key);
      }
      let next = parent.firstChild;
      items.forEach((item, index) => {
        const key = keyOf(item);
        let part = parts.get(key);
        if (part === undefined) parts.set(key, (part = make(item)));
        if (part.element === next) next = next.nextSibling;
        else parent.insertBefore(part.element, next);
        part.draw(item, index);
      });
    },
  };
}

// ---------------------------------------------------------------------------------------------------------- chips

/** One message, drawn as itself. An element is used again for another message when the first has gone. */
class Chip {
  constructor(h) {
    this.mark = h("span", { class: "workq-mark", role: "img" });
    this.text = h("span", { class: "workq-text" });
    this.dots = h("span", { class: "workq-dots", "aria-hidden": "true" });
    this.phase = h("span", { class: "workq-phase" });
    this.redelivered = h("span", { class: "workq-badge workq-redelivered" });
    this.worked = h("span", { class: "workq-badge workq-worked" });
    this.badges = h("span", { class: "workq-badges" }, this.redelivered, this.worked);
    this.element = h("li", { class: "workq-message" }, this.mark, this.text, this.dots, this.phase, this.badges);
    this.flight = null;
    this.key = null;
  }

  /** `word` says what becomes of it in this place, where the place alone doesn't. */
  draw(message, place, word = "") {
    if (this.key !== message.key) {
      this.flight?.cancel();
      this.flight = null;
      this.key = message.key;
      setAttribute(this.element, "data-key", message.key);
    }
    const worked = message.worked ?? 0;
    const facts =
      `${message.task}|${place}|${message.persistent}|${message.dots}|${message.redelivered}|` +
      `${message.deliveries}|${worked}|${word}`;
    if (this.facts === facts) return;
    this.facts = facts;
    const kept = message.persistent === true ? "persistent" : message.persistent === false ? "transient" : "";
    setAttribute(this.element, "data-place", place);
    setAttribute(this.element, "title", describe(message, place, kept));
    setHidden(this.mark, kept === "");
    setAttribute(this.mark, "data-kept", kept);
    setAttribute(this.mark, "aria-label", kept);
    setText(this.text, message.task);
    drawDots(this.dots, message.dots ?? 0);
    setText(this.phase, word);
    setHidden(this.phase, word === "");
    setHidden(this.redelivered, !message.redelivered);
    setText(this.redelivered, message.redelivered ? "redelivered" : "");
    setHidden(this.worked, worked < 2);
    setText(this.worked, worked < 2 ? "" : `worked on ${worked}×`);
    const badges = (message.redelivered ? 1 : 0) + (worked >= 2 ? 1 : 0);
    setHidden(this.badges, badges === 0);
    setAttribute(this.element, "data-badges", badges || null);
    setAttribute(this.element, "data-redelivered", Boolean(message.redelivered));
  }
}

function describe(message, place, kept) {
  const facts = [message.task];
  if (kept) facts.push(kept);
  facts.push(plural(message.dots ?? 0, "dot"));
  if (PHASES[place]) facts.push(PHASES[place]);
  if (message.deliveries > 0) facts.push(`delivered ${message.deliveries}×`);
  if (message.worked > 0) facts.push(`worked on ${message.worked}×`);
  if (message.redelivered) facts.push("redelivered");
  return facts.join(" · ");
}

function drawDots(element, dots) {
  setText(element, dots > DOTS_DRAWN ? `${formatCount(dots)}×` : "");
  setStyle(element, "--workq-dots", String(dots));
  setHidden(element, dots === 0);
}

/** The chips in one place: a queue, a worker's slots, an end. */
class ChipList {
  constructor(ui, parent, name) {
    this.ui = ui;
    this.parent = parent;
    this.name = name;
    this.chips = [];
  }

  draw(messages, placeOf, wordOf) {
    const known = new Map(this.chips.map((chip, index) => [chip.key, { chip, index }]));
    const chips = messages.map((message) => {
      const found = known.get(message.key);
      known.delete(message.key);
      return found?.chip;
    });
    // An element whose message went is used again, without moving it where a whole list was replaced.
    const spare = [...known.values()];
    for (let index = 0; index < chips.length; index++) {
      if (chips[index] !== undefined) continue;
      const old = spare.shift();
      if (old !== undefined && old.index !== index) old.chip.element.remove();
      chips[index] = old?.chip ?? this.ui.takeChip();
    }
    for (const { chip } of spare) this.ui.giveChip(chip);
    let next = this.parent.firstChild;
    chips.forEach((chip, index) => {
      chip.draw(messages[index], placeOf(messages[index]), wordOf?.(messages[index]));
      if (chip.element === next) next = next.nextSibling;
      else this.parent.insertBefore(chip.element, next);
      this.ui.here.set(chip.key, { chip, place: this.name });
    });
    this.chips = chips;
  }

  clear() {
    for (const chip of this.chips) this.ui.giveChip(chip);
    this.chips = [];
  }
}

// --------------------------------------------------------------------------------------------------------- flights

/** Moves chips from where they were in the last frame to where they are in this one. */
class Flights {
  constructor(ui) {
    this.ui = ui;
    this.before = new Map();
  }

  allowed(frame) {
    const mode = frame.playback?.mode;
    return (mode === "live" || mode === "replaying") && !this.ui.still.matches;
  }

  /** Called before drawing: who will move, and where is it now? */
  note(frame) {
    this.before.clear();
    if (!this.allowed(frame) || this.ui.here.size === 0) return;
    const moving = [];
    const shifting = [];
    eachMessage(frame, (message, place) => {
      const was = this.ui.here.get(message.key);
      if (was === undefined) return;
      if (was.place !== place) moving.push([message.key, was]);
      else if (place.startsWith("queue ")) shifting.push([message.key, was]);
    });
    if (moving.length === 0 || moving.length > MOST_FLIGHTS) return;
    for (const [key, was] of moving.concat(shifting).slice(0, MOST_FLIGHTS)) {
      this.before.set(key, { box: was.chip.element.getBoundingClientRect(), place: was.place });
    }
  }

  /** Called after drawing: let them travel. */
  start() {
    const flights = [];
    for (const [key, { box, place }] of this.before) {
      const now = this.ui.here.get(key);
      if (now === undefined || now.chip.element.animate === undefined) continue;
      now.chip.flight?.cancel();
      flights.push({ now, box, place });
    }
    for (const flight of flights) flight.to = flight.now.chip.element.getBoundingClientRect();
    for (const { now, box, place, to } of flights) {
      const [x, y] = [box.left - to.left, box.top - to.top];
      if (box.width === 0 || to.width === 0 || (Math.abs(x) < 1 && Math.abs(y) < 1)) continue;
      now.chip.flight = now.chip.element.animate(
        [
          { transform: `translate(${x}px, ${y}px)`, zIndex: 9 },
          { transform: "none", zIndex: 9 },
        ],
        { duration: FLIGHT_MILLISECONDS, easing: "cubic-bezier(.2, .7, .3, 1)" },
      );
      if (place.startsWith("worker ") && (now.place.startsWith("queue ") || now.place === "end lost")) {
        // What a kill threw back or lost keeps a ring for a moment, so that the eye finds it.
        now.chip.element.animate([{ outline: "3px solid currentColor" }, { outline: "3px solid transparent" }], {
          duration: RING_MILLISECONDS,
          easing: "ease-in",
        });
      }
    }
    this.before.clear();
  }
}

/** Every drawn message of a frame with the name of its place. */
function eachMessage(frame, visit) {
  for (const queue of frame.queues ?? []) {
    for (const message of queue.waiting ?? []) visit(message, `queue ${queue.name}`);
  }
  for (const worker of frame.workers ?? []) {
    for (const message of worker.slots ?? []) visit(message, `worker ${worker.name}`);
  }
  for (const { name } of ENDS) {
    for (const message of frame.ends?.[name]?.recent ?? []) visit(message, `end ${name}`);
  }
}

// -------------------------------------------------------------------------------------------------------- controls

/** A button that sends a command. `command()` returns its arguments. */
function button(ui, text, name, command = () => ({}), attributes = {}) {
  const element = ui.h("button", { type: "button", class: "workq-button", "data-do": name, ...attributes }, text);
  element[COMMAND] = () => ({ do: element.getAttribute("data-do"), ...command() });
  ui.buttons.add(element);
  return element;
}

function checkbox(ui, text, field, title) {
  const input = ui.h("input", { type: "checkbox", "data-field": field });
  return { input, element: ui.h("label", { class: "workq-check", title }, input, text) };
}

function numberField(ui, text, field, value, attributes = {}) {
  const input = ui.h("input", {
    type: "number",
    "data-field": field,
    value,
    min: "0",
    class: "workq-input",
    inputmode: "numeric",
    ...attributes,
  });
  input.value = value;
  return { input, element: ui.h("label", { class: "workq-field" }, ui.h("span", {}, text), input) };
}

const numberOf = (input) => Number(input.value) || 0;

/** A form whose Enter key does what its main button does. */
function form(ui, main, attributes, ...children) {
  const element = ui.h("form", { novalidate: true, ...attributes }, ...children);
  element[COMMAND] = () => main[COMMAND]();
  element[MAIN] = main;
  return element;
}

/** The reasons why some controls are off, as visible text. */
function reasons(ui, names) {
  const element = ui.h("p", { class: "workq-why", hidden: true });
  return {
    element,
    draw(frame, extra = []) {
      const found = new Set(extra.filter(Boolean));
      for (const name of names) {
        const action = frame.actions?.[name];
        if (action && action.enabled === false && action.why) found.add(action.why);
      }
      setText(element, [...found].join(" "));
      setHidden(element, found.size === 0);
    },
  };
}

// ---------------------------------------------------------------------------------------------------------- broker

function brokerBar(ui) {
  const { h } = ui;
  const lesson = h("strong", { class: "workq-lesson" });
  const name = h("span", { class: "workq-broker-name" });
  const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
  const state = h("span", { class: "workq-broker-state" });
  const found = h("span", { class: "workq-found" });
  const broker = h("div", { class: "workq-broker" }, name, h("span", { class: "workq-state" }, icon, state), found);
  const restart = button(ui, "Restart", "restart", undefined, {
    "aria-label": "Restart RabbitMQ",
    title: "Stop RabbitMQ properly and start it again",
  });
  const crash = button(ui, "Crash", "crash", undefined, {
    "aria-label": "Crash RabbitMQ",
    title: "Kill RabbitMQ without warning and start it again",
    "data-danger": true,
  });
  const startOver = startOverButton(ui);
  const why = reasons(ui, ["restart", "crash", "start_over"]);
  const element = h(
    "div",
    { class: "workq-top" },
    lesson,
    broker,
    h("div", { class: "workq-top-actions" }, restart, crash, startOver.element),
    why.element,
  );
  return {
    element,
    startOver,
    draw(frame) {
      const { broker: it = {} } = frame;
      setText(lesson, frame.lesson ?? "");
      setText(name, it.name ?? "RabbitMQ");
      setText(state, it.state ?? "");
      setText(icon, BROKER_ICONS[it.state] ?? "");
      setText(found, it.found ?? "");
      setAttribute(found, "title", it.found ?? "");
      setAttribute(broker, "data-state", it.state ?? "");
      const notOurs = it.steerable === false ? it.why_not || "This RabbitMQ is not ours to stop." : "";
      ui.off.restart = ui.off.crash = notOurs;
      why.draw(frame, [notOurs]);
    },
  };
}

/** Start over asks for a second press. */
function startOverButton(ui) {
  const element = button(ui, "Start over", "start_over", undefined, {
    title: "Stop the workers, remove the queues and forget what was recorded",
  });
  let timer = null;
  const rest = () => {
    ui.cancel(timer);
    timer = null;
    setAttribute(element, "data-sure", null);
    setText(element, "Start over");
  };
  return {
    element,
    rest,
    /** Whether this press may be sent. */
    press() {
      if (timer !== null) {
        rest();
        return true;
      }
      setAttribute(element, "data-sure", "ask");
      setText(element, "Press again to start over");
      timer = ui.after(CONFIRM_SECONDS, rest);
      return false;
    },
  };
}

// -------------------------------------------------------------------------------------------------------- playback

function playbackBar(ui) {
  const { h } = ui;
  const previous = button(ui, "◀\uFE0E❘", "step", () => ({ by: -1 }), {
    "aria-label": "Previous event",
    title: "Previous event",
    class: "workq-button workq-transport",
  });
  const play = button(ui, "Pause", "pause", undefined, { class: "workq-button workq-play" });
  const next = button(ui, "❘▶\uFE0E", "step", () => ({ by: 1 }), {
    "aria-label": "Next event",
    title: "Next event",
    class: "workq-button workq-transport",
  });
  const seconds = h("input", {
    type: "range",
    class: "workq-scrubber",
    "data-field": "seconds",
    min: "0",
    max: "0",
    step: "0.1",
    value: "0",
    "aria-label": "Moment of the recording shown, in seconds",
  });
  seconds[COMMAND] = () => ({ do: "seek", seconds: Number(seconds.value) });
  const time = h("span", { class: "workq-time" });
  const events = h("span", { class: "workq-events" });
  const live = button(ui, "Live", "live", undefined, { class: "workq-button workq-live" });
  const banner = h("p", { class: "workq-banner" });
  const element = h(
    "section",
    { class: "workq-playback", "aria-label": "Playback" },
    h("div", { class: "workq-player" }, previous, play, next, seconds, time, events, live),
    banner,
  );
  let held = false; // the learner has the scrubber in hand
  let waiting = null;
  let timer = null;
  const seek = () => {
    timer = null;
    if (waiting === null) {
      held = held && ui.pressed === seconds;
      return;
    }
    ui.command({ do: "seek", seconds: waiting });
    waiting = null;
    timer = ui.after(0.12, seek); // not more often than frames come
  };
  return {
    element,
    seconds,
    /** The learner moved the scrubber. */
    scrub() {
      held = true;
      waiting = Number(seconds.value);
      setText(time, `${waiting.toFixed(1)} / ${formatSeconds(this.end)}`);
      if (timer === null) seek();
    },
    draw(frame) {
      const it = frame.playback ?? {};
      const mode = it.mode ?? "live";
      this.end = it.end_seconds ?? 0;
      setText(play, mode === "paused" ? "▶\uFE0E Play" : "❚❚ Pause");
      setAttribute(play, "aria-label", mode === "paused" ? "Play" : "Pause");
      setAttribute(play, "data-do", mode === "paused" ? "play" : "pause");
      setAttribute(play, "title", mode === "paused" ? "Replay the recording from here" : "Pause the picture");
      setAttribute(live, "aria-pressed", mode === "live" ? "true" : "false");
      setAttribute(seconds, "max", (it.end_seconds ?? 0).toFixed(1));
      if (!held && ui.pressed !== seconds) {
        const value = (it.seconds ?? 0).toFixed(1);
        if (seconds.value !== value) seconds.value = value;
        setAttribute(seconds, "aria-valuetext", `${value} of ${formatSeconds(it.end_seconds)}`);
        setText(time, `${value} / ${formatSeconds(it.end_seconds)}`);
      }
      setText(events, `event ${formatCount(it.event ?? 0)} of ${formatCount(it.events ?? 0)}`);
      const caption =
        it.caption || (mode === "paused" ? "Paused. RabbitMQ goes on." : "A replay of what was recorded.");
      setText(
        banner,
        mode === "live"
          ? "Live: the picture follows RabbitMQ."
          : `${caption} The buttons below act on RabbitMQ as it is now.`,
      );
      setAttribute(banner, "data-mode", mode);
    },
  };
}

// ---------------------------------------------------------------------------------------------- notices and Python

function noticeList(ui) {
  const { h } = ui;
  const list = h("ul", { class: "workq-notices-list" });
  const older = h("button", {
    type: "button",
    class: "workq-button workq-older",
    "aria-expanded": "false",
    hidden: true,
  });
  const element = h(
    "section",
    { class: "workq-notices", "aria-label": "Notices", tabindex: "-1", hidden: true },
    list,
    older,
  );
  const dismissed = new Set();
  let local = []; // refusals of commands of this view
  let fromFrame = [];
  let open = false;
  let serial = 0;
  const rows = keyedList(
    list,
    (notice) => notice.number,
    (notice) => {
      const text = h("span", { class: "workq-notice-text" });
      const close = h(
        "button",
        { type: "button", class: "workq-dismiss", "aria-label": "Dismiss this notice", title: "Dismiss" },
        "✕",
      );
      close[ACT] = () => {
        dismissed.add(notice.number);
        local = local.filter((one) => one.number !== notice.number);
        draw();
      };
      const error = notice.level === "error";
      const row = h(
        "li",
        { class: "workq-notice", "data-level": notice.level },
        h("span", { class: "workq-icon", "aria-hidden": "true" }, error ? "⚠\uFE0E" : "ℹ\uFE0E"),
        h(
          "span",
          error ? { role: "alert", class: "workq-notice-body" } : { class: "workq-notice-body" },
          h("span", { class: "workq-notice-level" }, error ? "Problem: " : ""),
          text,
        ),
        close,
      );
      return {
        element: row,
        draw(it, index) {
          setText(text, it.text);
          setAttribute(row, "data-older", index > 0);
        },
      };
    },
    (part) => ui.saveFocus(part.element, element),
  );
  older[ACT] = () => {
    open = !open;
    draw();
  };
  function draw() {
    const shown = [...fromFrame, ...local]
      .filter((one) => !dismissed.has(one.number))
      .slice(-5)
      .reverse();
    rows.draw(shown);
    if (shown.length > 0) setHidden(element, false); // once there was one, its room stays: nothing jumps
    setAttribute(element, "data-open", open);
    setHidden(older, shown.length < 2);
    setText(older, open ? "Only the newest" : `${shown.length - 1} earlier`);
    setAttribute(older, "aria-expanded", String(open));
  }
  return {
    element,
    draw(frame) {
      const next = frame.notices ?? [];
      const last = fromFrame.at(-1)?.number;
      if (next.length === fromFrame.length && next.at(-1)?.number === last) return;
      const numbers = new Set(next.map((one) => one.number));
      for (const number of dismissed) if (typeof number === "number" && !numbers.has(number)) dismissed.delete(number);
      const texts = new Set(next.map((one) => one.text));
      local = local.filter((one) => !texts.has(one.text));
      fromFrame = next;
      draw();
    },
    refuse(text) {
      if (fromFrame.some((one) => one.text === text && !dismissed.has(one.number))) return;
      local = [...local.slice(-4), { number: `mine ${++serial}`, level: "error", text }];
      draw();
    },
    /** Says something of this view's own, until it is no longer so. */
    tell(text) {
      this.withdraw(text);
      local = [...local.slice(-4), { number: `mine ${++serial}`, level: "info", text }];
      draw();
    },
    withdraw(text) {
      if (!local.some((one) => one.text === text)) return;
      local = local.filter((one) => one.text !== text);
      draw();
    },
  };
}

function pythonPanel(ui) {
  const { h } = ui;
  const hint = "Point at a control, or move to it with Tab: here stands the call that does the same.";
  const explained = callLine(ui, "workq-explained");
  const said = h("p", { class: "workq-hint" }, hint);
  const history = h("ol", { class: "workq-calls", "aria-label": "Calls made from the stage, newest first" });
  const none = h("p", { class: "workq-hint" }, "No call was made from the stage yet.");
  const element = h(
    "details",
    { class: "workq-python" },
    h("summary", {}, "Python"),
    h(
      "div",
      { class: "workq-python-body" },
      said,
      h("div", { class: "workq-now" }, explained.element),
      h("h4", { class: "workq-label" }, "Calls made, newest first"),
      none,
      history,
    ),
  );
  setHidden(explained.element, true);
  const rows = keyedList(
    history,
    (call) => call.number,
    () => {
      const line = callLine(ui, "workq-call");
      const row = h("li", {}, line.element);
      return { element: row, draw: (call) => line.draw(call.code) };
    },
    (part) => ui.saveFocus(part.element, element.firstChild),
  );
  return {
    element,
    draw(frame) {
      const calls = frame.python ?? [];
      rows.draw([...calls].reverse());
      setHidden(none, calls.length > 0);
    },
    explain(code) {
      explained.draw(code);
      setHidden(explained.element, false);
      setHidden(said, true);
    },
    refuse(text) {
      setHidden(explained.element, true);
      setHidden(said, false);
      setText(said, text || hint);
    },
  };
}

/** A line of Python with a button that copies it. */
function callLine(ui, kind) {
  const { h, document, window } = ui;
  const code = h("code", {});
  const copy = h("button", { type: "button", class: "workq-button workq-copy" }, "Copy");
  const element = h("div", { class: kind }, code, copy);
  let timer = null;
  const say = (text) => {
    setText(copy, text);
    ui.cancel(timer);
    timer = ui.after(2, () => setText(copy, "Copy"));
  };
  const select = () => {
    const range = document.createRange();
    range.selectNodeContents(code);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    say("Selected");
  };
  copy[ACT] = async () => {
    try {
      await window.navigator.clipboard.writeText(code.textContent);
      say("Copied");
    } catch {
      select(); // no permission, or no secure address: Ctrl+C does it
    }
  };
  return {
    element,
    draw(text) {
      setText(code, text);
      setAttribute(copy, "aria-label", `Copy ${text}`);
    },
  };
}

// ------------------------------------------------------------------------------------------------------- publisher

function publisherColumn(ui) {
  const { h } = ui;
  const counts = {};
  const numbers = h("dl", { class: "workq-numbers" });
  for (const name of ["published", "confirmed", "refused", "returned"]) {
    const value = h("dd", { "data-count": name });
    const row = h("div", {}, h("dt", {}, name), value);
    counts[name] = { row, value };
    numbers.append(row);
  }
  const target = queueSelect(ui);
  const task = h("input", {
    type: "text",
    class: "workq-input",
    "data-field": "task",
    "aria-label": "Task to send",
    value: "Hello...",
    autocomplete: "off",
    spellcheck: "false",
  });
  task.value = "Hello...";
  const effort = h("span", { class: "workq-effort" });
  const persistent = checkbox(ui, "persistent", "persistent", "delivery_mode 2: a durable queue keeps it on disk");
  const confirm = checkbox(ui, "confirm", "confirm", "Publisher confirms: the broker says that it has the message");
  const options = () => ({ queue: ui.queue(), persistent: persistent.input.checked, confirm: confirm.input.checked });
  const send = button(ui, "Send", "send", () => ({ ...options(), task: task.value }), {
    type: "submit",
    class: "workq-button workq-primary",
    title: "Send this task (Enter)",
  });
  const five = button(ui, "The five", "five", options, { title: "Send the tutorial's five tasks: one to five dots" });
  const count = numberField(ui, "tasks", "count", "20", { min: "1" });
  const dots = numberField(ui, "dots each", "dots", "1");
  const rate = numberField(ui, "a second", "rate", "0", { step: "any" });
  const many = button(
    ui,
    "Send them",
    "many",
    () => ({ ...options(), count: numberOf(count.input), dots: numberOf(dots.input), rate: numberOf(rate.input) }),
    { type: "submit" },
  );
  const manyForm = form(
    ui,
    many,
    { class: "workq-many-form" },
    count.element,
    dots.element,
    rate.element,
    h("p", { class: "workq-hint" }, "0 a second: as fast as it goes"),
    many,
  );
  const drawEffort = () => setText(effort, `${plural(countDots(task.value), "dot")} of work`);
  drawEffort();
  const why = reasons(ui, ["send", "five", "many"]);
  const active = h("ul", { class: "workq-publishers", "aria-label": "Publishers at work" });
  const rows = keyedList(
    active,
    (one) => one.name,
    () => {
      const name = h("span", { class: "workq-publisher-name" });
      const said = h("span", {});
      const row = h("li", {}, name, " ", said);
      return {
        element: row,
        draw(one) {
          setText(name, one.name);
          setText(said, `${one.state}, ${formatCount(one.published)} published`);
        },
      };
    },
  );
  const more = h("p", { class: "workq-hint", hidden: true });
  const element = h(
    "section",
    { class: "workq-column workq-publisher", "aria-label": "Publisher" },
    h("h3", { class: "workq-title" }, h("span", { class: "workq-glyph", "aria-hidden": "true" }, "P"), "Publisher"),
    form(
      ui,
      send,
      { class: "workq-send" },
      target.element,
      task,
      effort,
      h("div", { class: "workq-checks" }, persistent.element, confirm.element),
      h("div", { class: "workq-buttons" }, send, five),
    ),
    h("details", { class: "workq-many" }, h("summary", {}, "Many…"), manyForm),
    why.element,
    numbers,
    active,
    more,
  );
  return {
    element,
    task,
    drawEffort,
    draw(frame) {
      const it = frame.publishers ?? {};
      for (const [name, { row, value }] of Object.entries(counts)) {
        setText(value, formatCount(it[name] ?? 0));
        setHidden(row, name !== "published" && !it[name]);
      }
      target.draw(frame);
      rows.draw(it.active ?? []);
      setHidden(more, !it.more);
      setText(more, it.more ? `+ ${plural(it.more, "more publisher")}` : "");
      why.draw(frame);
    },
  };
}

/** Which queue the forms act on; on the page only where there is a choice. */
function queueSelect(ui) {
  const { h } = ui;
  const select = h("select", { class: "workq-input", "data-field": "queue" });
  const label = h("label", { class: "workq-field" }, h("span", {}, "to queue"), select);
  const element = h("div", { class: "workq-target" });
  const options = keyedList(
    select,
    (name) => name,
    (name) => {
      const option = h("option", { value: name }, name);
      return { element: option, draw() {} };
    },
  );
  ui.queue = () => ui.chosenQueue ?? ui.frame?.queue ?? "";
  select[CHANGED] = () => (ui.chosenQueue = select.value);
  return {
    element,
    draw(frame) {
      const names = (frame.queues ?? []).filter((queue) => !queue.gone && queue.name).map((queue) => queue.name);
      if (!names.includes(ui.chosenQueue)) ui.chosenQueue = null;
      const wanted = names.length > 1;
      if (wanted) {
        options.draw(names);
        if (label.parentNode !== element) element.append(label);
        if (ui.document.activeElement !== select && select.value !== ui.queue()) select.value = ui.queue();
      } else if (label.parentNode === element && !label.contains(ui.document.activeElement)) label.remove();
    },
  };
}

// ---------------------------------------------------------------------------------------------------------- queues

function queueColumn(ui) {
  const { h } = ui;
  const list = h("div", { class: "workq-queues" });
  const queues = keyedList(
    list,
    (queue) => queue.name,
    (queue) => queueCard(ui, queue),
    (part) => part.remove(),
  );
  const more = h("p", { class: "workq-hint", hidden: true });
  const declare = declareForm(ui);
  const why = reasons(ui, ["purge", "declare"]);
  const element = h(
    "section",
    { class: "workq-column workq-queue-column", "aria-label": "Queues", tabindex: "-1" },
    list,
    declare.element,
    more,
    why.element,
  );
  return {
    element,
    draw(frame) {
      queues.draw(frame.queues ?? []);
      setHidden(list, (frame.queues ?? []).length === 0);
      setHidden(more, !frame.more_queues);
      setText(more, frame.more_queues ? `+ ${plural(frame.more_queues, "more queue")}` : "");
      declare.draw(frame);
      why.draw(frame);
    },
  };
}

function queueCard(ui, { name }) {
  const { h } = ui;
  const kept = h("span", { class: "workq-mark" });
  const kind = h("span", { class: "workq-kind" });
  const cells = {};
  const row = (count) =>
    ["broker", "log"].map((source) => {
      const cell = h("td", { "data-count": `${count}-${source}` });
      cells[`${count}-${source}`] = cell;
      return cell;
    });
  const counts = h(
    "table",
    { class: "workq-counts", "aria-label": `Messages of ${name}` },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td", {}),
        h("th", { scope: "col", title: "As RabbitMQ reports it" }, "broker"),
        h("th", { scope: "col", title: "As the recorded events say" }, "log"),
      ),
    ),
    h(
      "tbody",
      {},
      h("tr", {}, h("th", { scope: "row", title: "Waiting in the queue" }, "ready"), ...row("ready")),
      h(
        "tr",
        {},
        h("th", { scope: "row", title: "Delivered, not acknowledged yet" }, "unacknowledged"),
        ...row("unacknowledged"),
      ),
    ),
  );
  const lane = h("ol", { class: "workq-lane", "aria-label": `Messages waiting in ${name}, head first` });
  const chips = new ChipList(ui, lane, `queue ${name}`);
  const more = h("p", { class: "workq-more", hidden: true });
  const why = h("p", { class: "workq-reason" });
  const purge = button(ui, "Purge", "purge", () => ({ queue: name }), {
    "aria-label": `Purge ${name}`,
    title: "Drop every ready message of this queue",
  });
  const head = h("p", { class: "workq-end-label workq-head" }, "head: next to be delivered");
  const tail = h("p", { class: "workq-end-label workq-tail" }, "tail: new messages enter here");
  const element = h(
    "section",
    { class: "workq-queue", "data-queue": name, "aria-label": `Queue ${name}` },
    h(
      "div",
      { class: "workq-title" },
      h("span", { class: "workq-glyph", "aria-hidden": "true" }, "Q"),
      h("h3", { class: "workq-name", title: name }, name || "in an exchange"),
      purge,
    ),
    h("p", { class: "workq-facts" }, kept, kind),
    counts,
    h("div", { class: "workq-pipe" }, head, lane, more, tail),
    why,
  );
  return {
    element,
    draw(queue) {
      const { frame } = ui;
      setAttribute(element, "data-gone", queue.gone ? "true" : "false");
      setHidden(kept, !queue.durability);
      setAttribute(kept, "data-kept", queue.durability === "durable" ? "persistent" : "transient");
      const facts = [queue.durability, queue.type].filter(Boolean);
      if (queue.gone) facts.push("gone");
      setText(kind, facts.join(" · "));
      for (const count of ["ready", "unacknowledged"]) {
        for (const source of ["broker", "log"]) {
          const value = queue[count]?.[source];
          setText(cells[`${count}-${source}`], formatCount(value));
          setAttribute(cells[`${count}-${source}`], "title", value == null ? "RabbitMQ has not answered" : null);
        }
      }
      // Several queues share the room of one.
      const room = [12, 12, 6, 4, 3, 3, 3][Math.min(frame.queues.length, 6)];
      setStyle(lane, "--workq-room", String(Math.min(room, 8)));
      const waiting = queue.waiting ?? [];
      chips.draw(waiting.slice(0, room), () => "waiting");
      const hidden = (queue.more ?? 0) + Math.max(0, waiting.length - room);
      setText(more, `+ ${formatCount(hidden)} more`);
      setHidden(more, hidden === 0);
      setText(why, whyWaiting(frame, queue));
      setHidden(purge, queue.gone || name === "");
    },
    remove() {
      chips.clear();
      ui.saveFocus(element, element.parentNode?.parentNode);
    },
  };
}

/** Why messages wait in this queue, as a sentence. */
function whyWaiting(frame, queue) {
  if (queue.gone) return "This queue is gone, and what was in it.";
  const state = frame.broker?.state;
  if (state && state !== "up" && state !== "coming back") return `RabbitMQ is ${state}: nothing moves.`;
  if (!queue.ready?.log)
    return queue.unacknowledged?.log ? "Nothing waits here: the workers hold the rest." : "Nothing waits here.";
  const takers = (frame.workers ?? []).filter((worker) => worker.queue === queue.name && !ENDED.has(worker.state));
  if (takers.length === 0) return "They wait because no worker takes from this queue.";
  const ready = takers.filter((worker) => !["starting", "reconnecting", "stopping"].includes(worker.state));
  if (ready.length === 0) return "They wait until a worker is connected.";
  if (ready.every((worker) => worker.free === 0)) {
    return (
      `They wait because ${takers.length === 1 ? "the worker holds" : "every worker holds"} as many as its ` +
      "prefetch count allows."
    );
  }
  return "On their way to the workers.";
}

/** Declares a queue; on the page only while there is none. */
function declareForm(ui) {
  const { h } = ui;
  const element = h("div", { class: "workq-declare" });
  let made = null;
  const make = (frame) => {
    const name = h("input", {
      type: "text",
      class: "workq-input",
      "data-field": "queue",
      autocomplete: "off",
      spellcheck: "false",
    });
    name.value = frame.queue || "hello";
    const durable = checkbox(ui, "durable", "durable", "The queue itself survives a restart of RabbitMQ");
    const declare = button(ui, "Declare", "declare", () => ({ queue: name.value, durable: durable.input.checked }), {
      type: "submit",
      class: "workq-button workq-primary",
    });
    return form(
      ui,
      declare,
      { class: "workq-declare-form" },
      h("h3", { class: "workq-title" }, h("span", { class: "workq-glyph", "aria-hidden": "true" }, "Q"), "Queue"),
      h("p", { class: "workq-hint" }, "There is no queue yet. Declare one:"),
      h("label", { class: "workq-field" }, h("span", {}, "name"), name),
      durable.element,
      declare,
    );
  };
  return {
    element,
    draw(frame) {
      const wanted = !(frame.queues ?? []).some((queue) => !queue.gone) && !frame.more_queues;
      if (wanted && made === null) element.append((made = make(frame)));
      else if (!wanted && made !== null) {
        ui.saveFocus(made, element.parentNode);
        made.remove();
        ui.forget(made);
        made = null;
      }
    },
  };
}

// --------------------------------------------------------------------------------------------------------- workers

function workerColumn(ui) {
  const { h } = ui;
  const ack = h(
    "select",
    { class: "workq-input", "data-field": "auto_ack" },
    h("option", { value: "false" }, "manual ack"),
    h("option", { value: "true" }, "auto ack"),
  );
  setAttribute(ack, "aria-label", "Acknowledgment of the new worker");
  const prefetch = numberField(ui, "prefetch", "prefetch_count", "1", {
    max: "65535",
    title: "Prefetch count: how many unacknowledged messages it may hold; 0 is no limit",
  });
  const noLimit = h("span", { class: "workq-no-limit" }, "0 = no limit");
  const add = button(
    ui,
    "Add worker",
    "add_worker",
    () => ({ queue: ui.queue(), auto_ack: ack.value === "true", prefetch_count: numberOf(prefetch.input) }),
    { type: "submit", class: "workq-button workq-primary" },
  );
  const why = reasons(ui, ["add_worker", "stop", "kill", "freeze", "thaw"]);
  const list = h("div", { class: "workq-workers" });
  const none = h("p", { class: "workq-empty" }, "No worker yet. Add one, and it takes tasks from the queue.");
  const more = h("p", { class: "workq-hint", hidden: true });
  const count = h("span", { class: "workq-workers-count" });
  const element = h(
    "section",
    { class: "workq-column workq-worker-column", "aria-label": "Workers", tabindex: "-1" },
    h(
      "div",
      { class: "workq-worker-top" },
      h(
        "h3",
        { class: "workq-title" },
        h("span", { class: "workq-glyph", "aria-hidden": "true" }, "C"),
        "Workers",
        count,
      ),
      form(ui, add, { class: "workq-add" }, add, ack, prefetch.element, noLimit),
      why.element,
    ),
    none,
    list,
    more,
  );
  const cards = keyedList(
    list,
    (worker) => worker.name,
    (worker) => workerCard(ui, worker),
    (part) => {
      part.clear();
      ui.saveFocus(part.element, element);
      ui.forget(part.element);
    },
  );
  ack[CHANGED] = () => setText(noLimit, ack.value === "true" ? "auto ack has no limit" : "0 = no limit");
  return {
    element,
    draw(frame) {
      const workers = frame.workers ?? [];
      cards.draw(workers);
      const last = workers.findLastIndex((worker) => !ENDED.has(worker.state));
      workers.forEach((worker, index) =>
        setAttribute(cards.parts.get(worker.name).element, "data-line", index < last ? "on" : index === last && "last"),
      );
      setAttribute(element, "data-line", last >= 0);
      setHidden(none, workers.length > 0);
      setHidden(more, !frame.more_workers);
      setText(more, frame.more_workers ? `+ ${plural(frame.more_workers, "more worker")}` : "");
      const alive = workers.filter((worker) => !ENDED.has(worker.state)).length;
      setText(count, workers.length > 0 ? formatCount(alive) + (frame.more_workers ? "+" : "") + " running" : "");
      why.draw(frame);
    },
  };
}

function workerCard(ui, { name }) {
  const { h } = ui;
  const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
  const word = h("span", {});
  const facts = h("span", { class: "workq-settings" });
  const done = h("span", { "data-count": "done" });
  const room = h("span", { class: "workq-room" }); // what small cards say instead of drawing free slots
  const bar = workBar(ui);
  const slots = h("ol", { class: "workq-slots", "aria-label": `What ${name} holds` });
  const chips = new ChipList(ui, slots, `worker ${name}`);
  const free = freeSlots(ui, slots);
  const note = h("p", { class: "workq-note" });
  const consoleText = h("div", { class: "workq-console-text" });
  const terminal = h(
    "div",
    { class: "workq-console", tabindex: "0", role: "group", "aria-label": `Console of ${name}` },
    consoleText,
  );
  const folded = h("details", { class: "workq-console-box", open: true }, h("summary", {}, "Console"), terminal);
  const who = () => ({ worker: name });
  const stop = button(ui, "Stop", "stop", who, {
    "aria-label": `Stop ${name}`,
    title: "It finishes the task in hand, then says goodbye",
  });
  const kill = button(ui, "Kill", "kill", who, {
    "aria-label": `Kill ${name}`,
    "data-danger": true,
    title: "Cut its connection, as in a crash",
  });
  const freeze = button(ui, "Freeze", "freeze", who);
  const actions = h("div", { class: "workq-worker-actions" }, stop, kill, freeze);
  const hands = h("div", { class: "workq-hands" }, bar.element, slots, note);
  const element = h(
    "article",
    { class: "workq-worker", "data-worker": name, tabindex: "-1" },
    h(
      "div",
      { class: "workq-worker-head" },
      h("span", { class: "workq-name", title: name }, name),
      h("span", { class: "workq-state" }, icon, word),
      h("span", { class: "workq-done" }, "done ", done),
    ),
    facts,
    room,
    hands,
    actions,
    folded,
  );
  let ended = null;
  let touched = false; // the learner opened or closed the console
  folded[TOGGLED] = () => (touched = true);
  folded[OPEN] = true;
  return {
    element,
    clear: () => chips.clear(),
    draw(worker) {
      const over = ENDED.has(worker.state);
      if (over && ended === false) ui.saveFocus(actions, element);
      ended = over;
      setAttribute(element, "data-state", worker.state);
      setAttribute(element, "aria-label", `${name}, ${worker.state}`);
      setAttribute(element, "data-ended", over);
      setText(icon, WORKER_ICONS[worker.state] ?? "");
      setText(word, worker.state);
      setText(done, formatCount(worker.done ?? 0));
      const prefetch = worker.prefetch_count ? `prefetch ${worker.prefetch_count}` : "no limit";
      const from = ui.frame.queues?.length > 1 || ui.frame.more_queues ? ` · from ${worker.queue}` : "";
      setText(facts, `${worker.ack} ack · ${prefetch}${from}`);
      setAttribute(facts, "title", `${worker.ack} ack · ${prefetch}${from}`);
      const frozen = worker.state === "frozen";
      const held = [...(worker.slots ?? [])].sort((a, b) => (b.phase === "working") - (a.phase === "working"));
      const most = ui.density === "crowd" ? CROWD_SLOTS + (held[0]?.phase === "working" ? 1 : 0) : held.length;
      const words = { working: frozen ? "hangs" : "working", finished: "no ack yet" };
      chips.draw(
        held.slice(0, most),
        (message) => message.phase,
        (message) => words[message.phase],
      );
      bar.draw(worker.busy_with, held);
      free.draw(worker, (worker.more ?? 0) + Math.max(0, held.length - most), over);
      setText(room, over ? "" : worker.free === null ? "no limit" : `${formatCount(worker.free)} free`);
      setText(note, over ? "" : holding(worker));
      setAttribute(hands, "data-empty", held.length === 0 && !worker.busy_with);
      const lines = Array.isArray(worker.console) ? worker.console : worker.console ? [worker.console] : [];
      setText(consoleText, lines.join("\n"));
      setHidden(folded, lines.length === 0 && (over || worker.console === ""));
      const open = ui.density === "roomy" && !over;
      if (!touched && folded[OPEN] !== open) {
        folded[OPEN] = open;
        folded.open = open;
      }
      setHidden(actions, over);
      setText(freeze, frozen ? "Thaw" : "Freeze");
      setAttribute(freeze, "data-do", frozen ? "thaw" : "freeze");
      setAttribute(freeze, "aria-label", `${frozen ? "Thaw" : "Freeze"} ${name}`);
      setAttribute(freeze, "title", frozen ? "Let it go on" : "It hangs: connected, but its work stands still");
    },
  };
}

/** What it means that this worker holds what it holds. */
function holding(worker) {
  const held = worker.slots ?? [];
  const waiting = held.filter((message) => message.phase === "dispatched").length + (worker.more ?? 0);
  const finished = held.filter((message) => message.phase === "finished").length;
  const said = [];
  if (worker.state === "frozen" && held.length > 0) said.push("Hangs, and keeps what it holds.");
  if (worker.state === "reconnecting") said.push("Lost its connection and tries again.");
  if (waiting > 0) {
    const one = waiting === 1;
    said.push(
      worker.ack === "auto"
        ? `${formatCount(waiting)} ${one ? "waits" : "wait"} here, settled already: lost if it dies.`
        : `${formatCount(waiting)} ${one ? "waits" : "wait"} here: no other worker gets ${one ? "it" : "them"}.`,
    );
  }
  if (finished > 0) said.push(`${formatCount(finished)} finished, not acknowledged.`);
  return said.join(" ");
}

/** The bar that runs while a task is worked on. CSS moves it; a frame only starts, stops or corrects it. */
function workBar(ui) {
  const { h } = ui;
  const fill = h("span", { class: "workq-fill" });
  const track = h("span", { class: "workq-track", role: "img" }, fill);
  const label = h("span", { class: "workq-work-label" });
  const length = h("span", { class: "workq-work-seconds" });
  const element = h("div", { class: "workq-work", hidden: true }, label, track, length);
  let shown = null;
  let odd = false;
  return {
    element,
    draw(busy, held) {
      setHidden(element, !busy);
      if (!busy) {
        shown = null;
        return;
      }
      const inSlots = held.some((message) => message.key === busy.key);
      setText(label, inSlots ? "" : `working on ${busy.task}${busy.settled ? " (settled already)" : ""}`);
      setHidden(label, inSlots);
      setText(length, formatSeconds(busy.work_seconds));
      setAttribute(track, "aria-label", `working on ${busy.task}, ${formatSeconds(busy.work_seconds)} of work`);
      const now = ui.window.performance.now() / 1000;
      const still = ui.still.matches;
      if (
        shown !== null &&
        !still &&
        shown.key === busy.key &&
        shown.running === busy.running &&
        shown.work === busy.work_seconds
      ) {
        const expected = shown.elapsed + (shown.running ? now - shown.at : 0);
        if (Math.abs(expected - busy.elapsed_seconds) < (shown.running ? DRIFT_SECONDS : 0.01)) return;
      }
      shown = { key: busy.key, running: busy.running, work: busy.work_seconds, elapsed: busy.elapsed_seconds, at: now };
      setAttribute(element, "data-running", busy.running ? "true" : "false");
      const work = Math.max(busy.work_seconds, 0.001);
      const left = work - busy.elapsed_seconds;
      const runs = busy.running && left >= SHORTEST_RUN_SECONDS;
      const part = Math.min(1, busy.elapsed_seconds / work);
      setStyle(fill, "--workq-part", busy.running && !runs && !still ? "1" : part.toFixed(3));
      if (runs) setStyle(fill, "--workq-left", `${left.toFixed(2)}s`);
      if (runs) odd = !odd; // another name of the same animation starts it anew, without measuring anything
      setAttribute(fill, "data-run", runs ? (odd ? "a" : "b") : null);
    },
  };
}

/** Free slots, dashed; open-ended where there is no limit. */
function freeSlots(ui, parent) {
  const { h } = ui;
  const boxes = [];
  const more = h("li", { class: "workq-slots-more", hidden: true });
  const rest = h("li", { class: "workq-slot-text", hidden: true });
  parent.append(more, rest);
  return {
    draw({ free }, undrawn, over) {
      const wanted = over ? 0 : free === null ? 1 : Math.min(free ?? 0, FREE_SLOTS_DRAWN);
      while (boxes.length > wanted) boxes.pop().remove();
      while (boxes.length < wanted) {
        const box = h("li", { class: "workq-slot" });
        boxes.push(box);
        parent.insertBefore(box, rest);
      }
      boxes.forEach((box) => {
        setAttribute(box, "data-open", free === null);
        setText(box, free === null ? "no limit" : "free");
      });
      setHidden(more, undrawn === 0);
      setText(more, undrawn ? `+ ${formatCount(undrawn)} more` : "");
      const left = over || free === null ? 0 : Math.max(0, (free ?? 0) - wanted);
      setHidden(rest, left === 0);
      setText(rest, left ? `+ ${formatCount(left)} free` : "");
    },
  };
}

// ------------------------------------------------------------------------------------------------------------ ends

function endColumn(ui) {
  const { h } = ui;
  const parts = ENDS.map((end) => {
    const count = h("span", { class: "workq-end-count", "data-count": end.name });
    const list = h("ol", { class: "workq-end-list", "aria-label": `${end.title}, newest first` });
    const chips = new ChipList(ui, list, `end ${end.name}`);
    const more = h("p", { class: "workq-hint", hidden: true });
    const element = h(
      "section",
      { class: "workq-end", "data-end": end.name, "aria-label": end.title },
      h(
        "h3",
        { class: "workq-title" },
        h("span", { class: "workq-icon", "aria-hidden": "true" }, end.icon),
        end.title,
        count,
      ),
      ...(end.note ? [h("p", { class: "workq-hint" }, end.note)] : []),
      list,
      more,
    );
    return {
      element,
      draw(frame) {
        const it = frame.ends?.[end.name] ?? { count: 0, recent: [] };
        const recent = it.recent ?? [];
        setText(count, formatCount(it.count));
        setHidden(element, end.name !== "done" && it.count === 0);
        chips.draw(recent, () => end.name);
        const rest = Math.max(0, it.count - recent.length);
        setHidden(more, rest === 0);
        setText(more, rest ? `+ ${formatCount(rest)} earlier` : "");
      },
    };
  });
  const element = h(
    "section",
    { class: "workq-column workq-ends", "aria-label": "What became of the messages" },
    ...parts.map((part) => part.element),
  );
  return { element, draw: (frame) => parts.forEach((part) => part.draw(frame)) };
}

// ----------------------------------------------------------------------------------------------------------- table

/** The same as tables. Filled only while it is open. */
function tableView(ui) {
  const { h } = ui;
  const table = (caption, heads) => {
    const body = h("tbody", {});
    const element = h(
      "table",
      {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))),
      body,
    );
    const rows = keyedList(
      body,
      (cells) => cells[0],
      (cells) => {
        const fields = cells.slice(1).map((_, index) => (index === 0 ? h("th", { scope: "row" }) : h("td", {})));
        const row = h("tr", {}, ...fields);
        return {
          element: row,
          draw: (values) => values.slice(1).forEach((value, index) => setText(fields[index], value)),
        };
      },
    );
    return { element, draw: (cells) => rows.draw(cells) };
  };
  const queues = table("Queues", [
    "Queue",
    "Kind",
    "Ready (broker)",
    "Ready (log)",
    "Unacknowledged (broker)",
    "Unacknowledged (log)",
  ]);
  const workers = table("Workers", [
    "Worker",
    "State",
    "Takes from",
    "Acknowledgment",
    "Prefetch count",
    "Working on",
    "Holds",
    "Done",
  ]);
  const lost = table("Lost tasks", ["Task", "Kept", "Worked on"]);
  const noneLost = h("p", { class: "workq-hint" }, "No task is lost.");
  const element = h(
    "details",
    { class: "workq-table" },
    h("summary", {}, "Show as table"),
    h("div", { class: "workq-tables" }, queues.element, workers.element, noneLost, lost.element),
  );
  return {
    element,
    draw(frame) {
      if (!element.open) return;
      queues.draw(
        (frame.queues ?? []).map((queue) => [
          queue.name,
          queue.name,
          [queue.durability, queue.type, queue.gone ? "gone" : ""].filter(Boolean).join(", "),
          formatCount(queue.ready?.broker),
          formatCount(queue.ready?.log),
          formatCount(queue.unacknowledged?.broker),
          formatCount(queue.unacknowledged?.log),
        ]),
      );
      workers.draw(
        (frame.workers ?? []).map((worker) => [
          worker.name,
          worker.name,
          worker.state,
          worker.queue,
          worker.ack,
          worker.prefetch_count ? formatCount(worker.prefetch_count) : "no limit",
          worker.busy_with?.task ?? "nothing",
          formatCount((worker.slots?.length ?? 0) + (worker.more ?? 0)),
          formatCount(worker.done ?? 0),
        ]),
      );
      const gone = frame.ends?.lost?.recent ?? [];
      lost.draw(
        gone.map((message) => [
          message.key,
          message.task,
          message.persistent === null ? "" : message.persistent ? "persistent" : "transient",
          `${message.worked ?? 0}×`,
        ]),
      );
      setHidden(lost.element, gone.length === 0);
      setHidden(noneLost, gone.length > 0);
    },
  };
}

// ---------------------------------------------------------------------------------------------------------- a view

function legend(ui) {
  const { h } = ui;
  const item = (kept, text) => h("span", {}, h("span", { class: "workq-mark", "data-kept": kept }), text);
  return h(
    "p",
    { class: "workq-legend" },
    item("persistent", "persistent message, durable queue: on disk"),
    item("transient", "transient: in memory"),
    h("span", {}, h("span", { class: "workq-dots", style: "--workq-dots: 3" }), "dots of work"),
    h("span", {}, h("span", { class: "workq-slot workq-sample" }), "free slot"),
  );
}

/** What the parts of one view share. */
function makeUi(model, el) {
  const document = el.ownerDocument;
  const window = document.defaultView;
  const h = elementMaker(document);
  const timers = new Set();
  const spareChips = [];
  const prefix = Math.random().toString(36).slice(2, 10); // several views share one model: whose answer is it?
  let serial = 0;
  return {
    h,
    document,
    window,
    frame: null,
    density: "roomy",
    buttons: new Set(),
    off: {},
    here: new Map(), // key of a message → where it is drawn
    pressed: null,
    chosenQueue: null,
    still: window.matchMedia("(prefers-reduced-motion: reduce)"),
    timers,
    after(seconds, act) {
      const timer = window.setTimeout(() => {
        timers.delete(timer);
        act();
      }, seconds * 1000);
      timers.add(timer);
      return timer;
    },
    cancel(timer) {
      if (timer === null) return;
      window.clearTimeout(timer);
      timers.delete(timer);
    },
    takeChip: () => spareChips.pop() ?? new Chip(h),
    giveChip(chip) {
      chip.flight?.cancel();
      chip.flight = null;
      chip.element.remove();
      if (spareChips.length < 100) spareChips.push(chip);
    },
    /** Before an element goes: focus inside it moves on instead of getting lost. */
    saveFocus(element, heir) {
      if (heir && element.contains(document.activeElement)) heir.focus();
    },
    /** Its buttons are not looked after any more. */
    forget(element) {
      for (const one of this.buttons) if (element.contains(one)) this.buttons.delete(one);
    },
    newId: () => `${prefix}-${++serial}`,
    isMine: (id) => typeof id === "string" && id.startsWith(`${prefix}-`),
    send: (message) => model.send(message),
  };
}

/** Sends commands and understands the answers. */
function makeCommands(ui, notices, python) {
  let asked = null;
  let lastAsked = "";
  let timer = null;
  const unheard = new Map(); // commands without a receipt, each with its timer
  ui.command = (command) => {
    const id = ui.newId();
    unheard.set(
      id,
      ui.after(UNHEARD_SECONDS, () => notices.tell(UNHEARD)),
    );
    ui.send({ id, ...command });
  };
  const heard = (id) => {
    if (!unheard.has(id)) return;
    ui.cancel(unheard.get(id));
    unheard.delete(id);
    if (unheard.size === 0) notices.withdraw(UNHEARD);
  };
  return {
    answer(message) {
      if (!ui.isMine(message?.id)) return;
      heard(message.id);
      if (message.id === asked) {
        if (message.ok && message.code) python.explain(message.code);
        else python.refuse(message.text);
      } else if (message.ok === false && message.text) notices.refuse(message.text);
    },
    /** Asks for the call that does the same as a control; soon, and once. */
    explain(control) {
      ui.cancel(timer);
      timer = ui.after(0.08, () => {
        timer = null;
        const explain = control[COMMAND]();
        const text = JSON.stringify(explain);
        if (text === lastAsked) return;
        lastAsked = text;
        asked = ui.newId();
        ui.send({ id: asked, explain });
      });
    },
  };
}

/** How much room each worker gets; ended ones need little. */
function densityOf(workers) {
  const ended = workers.filter((worker) => ENDED.has(worker.state)).length;
  const count = workers.length - ended + Math.floor(ended / 3);
  return count >= CROWD_FROM ? "crowd" : count >= COMPACT_FROM ? "compact" : "roomy";
}

/** The control with a command at or around an element. */
function controlAt(element, root) {
  for (let at = element; at && at !== root; at = at.parentNode) if (at[COMMAND]) return at;
  return null;
}

function render({ model, el }) {
  const ui = makeUi(model, el);
  const { h, document, window } = ui;
  const broker = brokerBar(ui);
  const playback = playbackBar(ui);
  const notices = noticeList(ui);
  const python = pythonPanel(ui);
  const publisher = publisherColumn(ui);
  const queues = queueColumn(ui);
  const workers = workerColumn(ui);
  const ends = endColumn(ui);
  const table = tableView(ui);
  const commands = makeCommands(ui, notices, python);
  const flights = new Flights(ui);
  const summary = h("p", { class: "workq-summary", "aria-live": "polite", role: "status" });
  const picture = h(
    "div",
    { class: "workq-picture" },
    publisher.element,
    queues.element,
    workers.element,
    ends.element,
  );
  const parts = [broker, playback, notices, python, publisher, queues, workers, ends, table];
  const body = h(
    "fieldset",
    { class: "workq-body", "aria-label": "RabbitMQ stage" },
    broker.element,
    playback.element,
    notices.element,
    python.element,
    picture,
    legend(ui),
    table.element,
  );
  const root = h(
    "div",
    { class: "workq-stage", "data-lm-suppress-shortcuts": "true", "data-alive": "true", "data-mode": "live" },
    body,
    summary,
  );
  el.append(root);

  // ---- drawing: the newest frame, in the next animation frame
  let wanted = null;
  let request = null;
  const draw = () => {
    request = null;
    const frame = wanted;
    wanted = null;
    if (frame === null) return;
    flights.note(frame);
    ui.frame = frame;
    ui.here.clear();
    ui.density = densityOf(frame.workers ?? []);
    setAttribute(root, "data-density", ui.density);
    setAttribute(root, "data-mode", frame.playback?.mode ?? "live");
    for (const part of parts) part.draw(frame);
    drawDisabled(frame);
    flights.start();
    tellSummary(frame.summary ?? "");
    setAttribute(root, "data-number", frame.number ?? 0);
    drawOverlay();
  };
  const drawDisabled = (frame) => {
    for (const one of ui.buttons) {
      const name = one.getAttribute("data-do");
      const action = frame.actions?.[name];
      const why = ui.off[name] || (action?.enabled === false ? action.why || "Not now." : "");
      // aria-disabled keeps the focus where it is; `disabled` would throw it away.
      setAttribute(one, "aria-disabled", why ? "true" : null);
      if (why !== (one[WHY] ?? "")) {
        one[TITLE] ??= one.getAttribute("title") ?? "";
        one[WHY] = why;
        setAttribute(one, "title", why || one[TITLE] || null);
      }
    }
  };

  // ---- the summary for screen readers
  let told = null;
  let toldAt = -Infinity;
  let tellTimer = null;
  let toTell = "";
  const tellSummary = (text) => {
    toTell = text;
    if (text === told || tellTimer !== null) return;
    const wait = SUMMARY_SECONDS - (window.performance.now() / 1000 - toldAt);
    const tell = () => {
      tellTimer = null;
      if (toTell === told) return;
      told = toTell;
      toldAt = window.performance.now() / 1000;
      setText(summary, told);
    };
    if (wait <= 0) tell();
    else tellTimer = ui.after(wait, tell);
  };

  // ---- is anybody there?
  let dead = "";
  let heardAt = window.performance.now();
  let overlay = null;
  let focused = null;
  const drawOverlay = () => {
    const closed = ui.frame?.closed || "";
    const text = closed || dead;
    setAttribute(root, "data-alive", text ? "false" : "true");
    if (text && overlay === null) {
      focused = root.contains(document.activeElement) ? document.activeElement : null;
      overlay = h("div", { class: "workq-overlay", role: "alert" }, h("p", {}));
      root.append(overlay);
      body.disabled = true;
    } else if (!text && overlay !== null) {
      overlay.remove();
      overlay = null;
      body.disabled = false;
      const nowhere = document.activeElement === null || document.activeElement === document.body;
      if (focused !== null && nowhere) focused.focus();
      focused = null;
    }
    if (text) setText(overlay.firstChild, text);
  };
  const watch = () => {
    const silent = (window.performance.now() - heardAt) / 1000;
    if (silent < SILENCE_SECONDS) ui.after(SILENCE_SECONDS - silent + 0.01, watch);
    else {
      watching = false;
      dead = dead || SILENT;
      drawOverlay();
    }
  };
  let watching = false;
  const heard = () => {
    heardAt = window.performance.now();
    dead = "";
    drawOverlay();
    if (!watching) {
      watching = true;
      watch();
    }
  };
  const onFrame = () => {
    const frame = model.get("frame");
    if (!frame || typeof frame !== "object" || frame.number === undefined) return;
    wanted = frame;
    if (request === null) request = window.requestAnimationFrame(draw);
    heard();
  };
  const onLost = () => {
    dead = DISCONNECTED;
    drawOverlay();
  };
  const onMessage = (message) => commands.answer(message);
  const modelEvents = {
    "change:frame": onFrame,
    "msg:custom": onMessage,
    "comm:close": onLost,
    destroy: onLost,
    comm_live_update: onLost,
  };
  for (const [name, act] of Object.entries(modelEvents)) model.on(name, act);

  // ---- what the learner does
  const isOff = (control) => body.disabled || control.getAttribute("aria-disabled") === "true";
  const run = (control) => {
    if (isOff(control)) return;
    if (control === broker.startOver.element && !broker.startOver.press()) return;
    ui.command(control[COMMAND]());
  };
  const domEvents = {
    click({ target }) {
      for (let at = target; at && at !== root; at = at.parentNode) {
        if (at[ACT]) return void at[ACT]();
        if (at[COMMAND] && at.getAttribute("data-do")) {
          if (at.getAttribute("type") !== "submit") run(at);
          return;
        }
      }
    },
    submit(event) {
      event.preventDefault();
      const main = event.target[MAIN];
      if (!main) return;
      run(main);
      if (main.getAttribute("data-do") === "send") publisher.task.select?.();
    },
    input({ target }) {
      if (target === playback.seconds) playback.scrub();
      if (target === publisher.task) publisher.drawEffort();
      showCall(target);
    },
    change({ target }) {
      target[CHANGED]?.();
      showCall(target);
    },
    focusin: ({ target }) => showCall(target),
    pointerover: ({ target }) => showCall(target),
    pointerdown: ({ target }) => (ui.pressed = target),
    keydown(event) {
      const { key, target } = event;
      if (key === "Escape" && target === broker.startOver.element) broker.startOver.rest();
      if (key === "Enter" && isTextField(target) && target.form?.[MAIN]) {
        // JupyterLab keeps Chromium from sending a form by itself.
        event.preventDefault();
        target.form.requestSubmit(target.form[MAIN]);
      }
    },
    focusout: ({ target }) => target === broker.startOver.element && broker.startOver.rest(),
    toggle({ target }) {
      if (target[OPEN] !== undefined && target.open !== target[OPEN]) {
        target[OPEN] = target.open;
        target[TOGGLED]();
      }
      if (target === table.element && ui.frame !== null) table.draw(ui.frame);
    },
  };
  const showCall = (target) => {
    if (!python.element.open || body.disabled) return;
    const control = controlAt(target, root);
    if (control !== null) commands.explain(control);
  };
  for (const [name, act] of Object.entries(domEvents)) root.addEventListener(name, act, name === "toggle");
  const release = () => (ui.pressed = null);
  for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, release);

  onFrame();
  if (!watching) {
    watching = true;
    watch();
  }
  if (el.closest?.(".jupyter-widgets-disconnected")) onLost(); // reopened without its kernel

  return () => {
    for (const [name, act] of Object.entries(modelEvents)) model.off(name, act);
    for (const [name, act] of Object.entries(domEvents)) root.removeEventListener(name, act, name === "toggle");
    for (const name of ["pointerup", "pointercancel"]) window.removeEventListener(name, release);
    if (request !== null) window.cancelAnimationFrame(request);
    for (const timer of ui.timers) window.clearTimeout(timer);
    ui.timers.clear();
    root.remove();
  };
}

export default { render };
