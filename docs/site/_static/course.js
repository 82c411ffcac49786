// Made by `make bundle` from the modules in docs/site/js: change them, not this.
"use strict";
(() => {
  // docs/site/js/answers.js
  function takeAnswers() {
    for (
      const form2 of
      /** @type {NodeListOf<HTMLFormElement>} */
      document.querySelectorAll("form.course-prediction")
    )
      new Answering(form2).connect();
  }
  var Answering = class {
    /** @param {HTMLFormElement} form */
    constructor(form2) {
      this.form = form2;
      this.noted = /** @type {HTMLElement} */
      form2.querySelector("[role=status]");
      this.comparison = document.getElementById(`compare-${form2.dataset.prediction}`);
      this.compare = form2.querySelector("a");
    }
    connect() {
      const { form: form2 } = this;
      form2.addEventListener("submit", (event) => event.preventDefault());
      form2.addEventListener("change", () => this.#take());
      if (this.compare) this.compare.hidden = true;
      this.#take();
    }
    #take() {
      const given = (
        /** @type {HTMLInputElement | null} */
        this.form.querySelector("input:checked, input[type=number]:valid")
      );
      if (!given) return;
      this.noted.textContent = `Noted: ${given.value}. You may still change it; then play the run, and compare.`;
      if (!this.comparison || !this.compare) return;
      this.compare.hidden = false;
      const compared = (
        /** @type {HTMLElement} */
        this.comparison.querySelector(".course-compared")
      );
      compared.replaceChildren(tableBeside(given, this.comparison));
    }
  };
  function tableBeside(given, comparison) {
    const answer = given.type === "number" ? nearness(given.valueAsNumber, comparison) : given.value;
    const template = (
      /** @type {HTMLTemplateElement} */
      comparison.querySelector(`template[data-answer="${answer}"]`)
    );
    const table2 = (
      /** @type {DocumentFragment} */
      template.content.cloneNode(true)
    );
    const answered = table2.querySelector("td");
    if (given.type === "number" && answered) answered.textContent = given.value;
    return table2;
  }
  function nearness(number, { dataset }) {
    return Math.abs(number - Number(dataset.number)) <= Number(dataset.tolerance) ? "near" : "far";
  }

  // docs/site/js/folds.js
  var folds = () => [.../** @type {NodeListOf<HTMLDetailsElement>} */
  document.querySelectorAll("article details")];
  function addUnfoldAll() {
    const heading2 = document.querySelector("article h1");
    if (!heading2 || folds().length === 0) return;
    const button2 = document.createElement("button");
    button2.type = "button";
    button2.className = "course-unfold";
    const draw = () => {
      button2.textContent = folds().every((fold) => fold.open) ? "Fold all" : "Unfold all";
    };
    button2.addEventListener("click", () => {
      const open2 = !folds().every((fold) => fold.open);
      for (const fold of folds()) fold.open = open2;
      draw();
    });
    document.addEventListener("toggle", draw, true);
    heading2.after(button2);
    draw();
  }
  function unfold(element) {
    for (let fold = element?.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
  }
  function openFoldOfTarget() {
    const open2 = () => {
      const id = decodeURIComponent(location.hash.slice(1));
      const target = id ? document.getElementById(id) : null;
      if (!target?.closest("details")) return;
      unfold(target);
      target.scrollIntoView();
    };
    window.addEventListener("hashchange", open2);
    open2();
  }

  // docs/site/js/pictures.js
  function enlargePictures() {
    const pictures = (
      /** @type {NodeListOf<HTMLImageElement>} */
      document.querySelectorAll(".cell_output img")
    );
    if (pictures.length === 0) return;
    const dialog = makeDialog();
    for (const picture of pictures) {
      const button2 = document.createElement("button");
      button2.type = "button";
      button2.className = "course-picture";
      button2.setAttribute("aria-label", `Enlarge: ${picture.alt}`);
      picture.replaceWith(button2);
      button2.append(picture);
      button2.addEventListener("click", () => open(dialog, picture));
    }
  }
  function makeDialog() {
    const dialog = document.createElement("dialog");
    dialog.className = "course-enlarged";
    dialog.setAttribute("aria-label", "The picture, enlarged");
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    dialog.append(close, document.createElement("div"));
    dialog.addEventListener("click", () => dialog.close());
    document.body.append(dialog);
    return dialog;
  }
  function open(dialog, picture) {
    const place = (
      /** @type {HTMLElement} */
      dialog.lastElementChild
    );
    place.replaceChildren(picture.cloneNode());
    place.tabIndex = 0;
    dialog.showModal();
  }

  // workq_helpers/stage/js/behavior.js
  var COMMAND = /* @__PURE__ */ Symbol("command");
  var MAIN = /* @__PURE__ */ Symbol("main button");
  var ASK = /* @__PURE__ */ Symbol("ask");
  var ON_CLICK = /* @__PURE__ */ Symbol("on click");
  var ON_CHANGE = /* @__PURE__ */ Symbol("on change");

  // workq_helpers/stage/js/dom.js
  var FOCUSABLE = /* @__PURE__ */ new Set(["button", "input", "select", "summary", "a"]);
  var DRAWN = /* @__PURE__ */ Symbol("drawn");
  function drawnOn(element) {
    element[DRAWN] ??= { attributes: {}, styles: {} };
    return element[DRAWN];
  }
  function setText(element, value) {
    const drawn = drawnOn(element);
    if (drawn.text === value) return;
    drawn.text = value;
    element.textContent = value;
  }
  function setAttribute(element, name, value) {
    const { attributes } = drawnOn(element);
    if (attributes[name] === value) return;
    attributes[name] = value;
    if (value === null || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  function setStyle(element, name, value) {
    const { styles } = drawnOn(element);
    if (styles[name] === value) return;
    styles[name] = value;
    element.style.setProperty(name, value);
  }
  function setHidden(element, hidden) {
    setAttribute(element, "hidden", Boolean(hidden));
  }
  function elementMaker(document2) {
    return function h(tag, attributes = {}, ...children) {
      const element = document2.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
      if (FOCUSABLE.has(tag) || attributes.tabindex !== void 0) {
        setAttribute(element, "data-lm-suppress-shortcuts", "true");
      }
      element.append(...children);
      return element;
    };
  }

  // workq_helpers/stage/js/buttons.js
  var CONTROL_OF = {
    pause: "player",
    live: "player",
    step: "player",
    save_run: "details",
    kill_node: "kill",
    start_node: "kill"
  };
  function button(ui, text, name, { command = () => ({}), ...attributes } = {}) {
    const element = ui.h(
      "button",
      { type: "button", class: "workq-button", "data-do": name, .../** @type {Record<string, Value>} */
      attributes },
      text
    );
    setAttribute(element, "data-control", CONTROL_OF[name] ?? name);
    element[COMMAND] = () => ({ do: nameOf(element), ...command() });
    ui.buttons.add(element);
    return element;
  }
  var nameOf = (element) => element.getAttribute("data-do") ?? "";
  var Buttons = class {
    /** @type {Map<Element, {why: string, title: string | null}>} */
    #shown = /* @__PURE__ */ new Map();
    /** @type {Map<string, string>} Why a command is off in this view, whatever the frame says of it. */
    off = /* @__PURE__ */ new Map();
    /** @param {Element} element */
    add(element) {
      this.#shown.set(element, { why: "", title: element.getAttribute("title") });
    }
    /**
     * The buttons in it are not looked after any more.
     * @param {Element} element
     */
    forget(element) {
      for (const one of this.#shown.keys()) if (element.contains(one)) this.#shown.delete(one);
    }
    /** @param {Frame} frame */
    draw(frame) {
      for (const [element, shown] of this.#shown) {
        const why = this.#whyOff(frame, nameOf(element));
        setAttribute(element, "aria-disabled", why ? "true" : null);
        if (why === shown.why) continue;
        if (shown.why === "") shown.title = element.getAttribute("title");
        shown.why = why;
        setAttribute(element, "title", why || shown.title);
      }
    }
    /**
     * @param {Frame} frame
     * @param {string} name
     */
    #whyOff(frame, name) {
      const action = frame.actions[name];
      return this.off.get(name) || (action?.enabled === false ? action.why || "Not now." : "");
    }
  };

  // workq_helpers/stage/js/asking_button.js
  var CONFIRM_SECONDS = 5;
  function askingButton(ui, text, name, question, attributes) {
    const element = button(ui, text, name, attributes);
    let timer = null;
    const rest = () => {
      ui.timers.cancel(timer);
      timer = null;
      setAttribute(element, "data-sure", null);
      setAttribute(element, "aria-label", attributes["aria-label"] ?? null);
      setText(element, text);
    };
    const press = () => {
      if (timer !== null) {
        rest();
        return true;
      }
      setAttribute(element, "data-sure", "ask");
      setAttribute(element, "aria-label", null);
      setText(element, question);
      timer = ui.timers.after(CONFIRM_SECONDS, rest);
      return false;
    };
    element[ASK] = { press, rest };
    return element;
  }

  // workq_helpers/stage/js/controls.js
  function checkbox(ui, text, field, title) {
    const input = ui.h("input", { type: "checkbox", "data-field": field });
    return { input, element: ui.h("label", { class: "workq-check", title, "data-control": field }, input, text) };
  }
  function numberField(ui, text, field, value, attributes = {}) {
    const input = ui.h("input", {
      type: "number",
      "data-field": field,
      value,
      min: "0",
      class: "workq-input",
      inputmode: "numeric",
      ...attributes
    });
    const element = ui.h("label", { class: "workq-field" }, ui.h("span", {}, text), input);
    return { element, input, value: () => Number(input.value) || 0 };
  }
  function textField(ui, field, value, attributes = {}) {
    return ui.h("input", {
      type: "text",
      class: "workq-input",
      "data-field": field,
      value,
      autocomplete: "off",
      spellcheck: "false",
      ...attributes
    });
  }
  function form(ui, main, attributes, ...children) {
    const element = ui.h("form", { novalidate: true, ...attributes }, ...children);
    element[COMMAND] = main[COMMAND];
    element[MAIN] = main;
    return element;
  }
  function heading(ui, glyph, ...children) {
    const sign = ui.h("span", { class: "workq-glyph", "aria-hidden": "true" }, glyph);
    return ui.h("h3", { class: "workq-title" }, sign, ...children);
  }
  function hint(ui) {
    const element = ui.h("p", { class: "workq-hint", hidden: true });
    return {
      element,
      /** @param {string} text */
      draw(text) {
        setText(element, text);
        setHidden(element, text === "");
      }
    };
  }
  function reasons(ui, names) {
    const element = ui.h("p", { class: "workq-why", hidden: true });
    return {
      element,
      /**
       * @param {Frame} frame
       * @param {string[]} extra
       */
      draw(frame, extra = []) {
        const off = names.filter((name) => frame.actions[name]?.enabled === false);
        const found = new Set([...extra, ...off.map((name) => frame.actions[name].why)].filter(Boolean));
        setText(element, [...found].join(" "));
        setHidden(element, found.size === 0);
      }
    };
  }

  // workq_helpers/stage/js/broker_bar.js
  var ICONS = { up: "●", stopping: "◑", down: "✕", "coming back": "◔" };
  function brokerBar(ui) {
    const { h } = ui;
    const lesson = h("strong", { class: "workq-lesson" });
    const broker = brokerLine(ui);
    const restart = button(ui, "Restart", "restart", {
      "aria-label": "Restart RabbitMQ",
      title: "Stop RabbitMQ properly and start it again"
    });
    const crash = askingButton(ui, "Crash", "crash", "Press again to crash RabbitMQ", {
      "aria-label": "Crash RabbitMQ",
      title: "Kill RabbitMQ without warning and start it again",
      "data-danger": true
    });
    const startOver = askingButton(ui, "Start over", "start_over", "Press again to start over", {
      title: "Stop the workers, remove the queues and forget what was recorded"
    });
    const why = reasons(ui, ["restart", "crash", "start_over"]);
    const actions = h("div", { class: "workq-top-actions" }, restart, crash, startOver);
    return {
      element: h("div", { class: "workq-top" }, lesson, broker.element, actions, why.element),
      /** @param {Frame} frame */
      draw(frame) {
        setText(lesson, frame.lesson);
        setAttribute(lesson, "title", frame.lesson);
        broker.draw(frame);
        const { steerable, why_not } = frame.broker;
        const notOurs = steerable ? "" : why_not || "This RabbitMQ is not ours to stop.";
        ui.buttons.off.set("restart", notOurs).set("crash", notOurs);
        why.draw(frame, [notOurs]);
      }
    };
  }
  function brokerLine({ h }) {
    const name = h("span", { class: "workq-broker-name" });
    const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
    const state = h("span", { class: "workq-broker-state" });
    const found = h("span", { class: "workq-found" });
    const element = h("div", { class: "workq-broker" }, name, h("span", { class: "workq-state" }, icon, state), found);
    return {
      element,
      /** @param {Frame} frame */
      draw({ broker }) {
        setText(name, broker.name);
        setText(state, broker.state);
        setText(icon, ICONS[broker.state]);
        setText(found, broker.found);
        setAttribute(found, "title", broker.found);
        setAttribute(element, "data-state", broker.state);
      }
    };
  }

  // workq_helpers/stage/js/commands.js
  var WAITING_SECONDS = 0.25;
  var UNHEARD_SECONDS = 4.5;
  var EXPLAIN_SECONDS = 0.08;
  var WAITING = "What was pressed here waits for the cell that runs: this Jupyter hands it to the kernel when that cell ends.";
  var UNHEARD = "The kernel has not taken what was pressed here. If no cell is running, reload this page and press again.";
  var Commands = class {
    /** @type {Map<string, Sent>} Commands without a receipt. */
    #unheard = /* @__PURE__ */ new Map();
    /** @type {Set<Element>} Controls whose commands were taken, until that can be seen. */
    #taken = /* @__PURE__ */ new Set();
    #prefix = Math.random().toString(36).slice(2, 10);
    // several views share one model: whose answer is it?
    #serial = 0;
    /** @type {string | null} The id of the last question for code. */
    #asked = null;
    #lastExplained = "";
    /** @type {number | null} */
    #timer = null;
    /**
     * @param {Ui} ui
     * @param {Model} model
     * @param {NoticeList} notices
     * @param {PythonPanel} python
     */
    constructor(ui, model, notices, python) {
      this.ui = ui;
      this.model = model;
      this.notices = notices;
      this.python = python;
    }
    /**
     * @param {Command} command
     * @param {Element} [control] What was pressed, which shows so at once, and that its command waits.
     */
    send(command, control) {
      const id = this.#newId();
      const { timers } = this.ui;
      if (control) setAttribute(control, "data-pressed", true);
      this.#unheard.set(id, {
        control,
        timers: [
          timers.after(WAITING_SECONDS, () => this.#tellWaiting(control)),
          timers.after(UNHEARD_SECONDS, () => this.#tellUnheard(control))
        ]
      });
      const during = this.ui.frame?.during;
      this.model.send({ id, ...command, ...during ? { during } : {} });
    }
    /**
     * Asks for the call that does the same as a control; soon, and once.
     * @param {Element} control
     */
    explain(control) {
      this.ui.timers.cancel(this.#timer);
      this.#timer = this.ui.timers.after(EXPLAIN_SECONDS, () => {
        const explain = control[COMMAND]?.();
        const text = JSON.stringify(explain);
        if (text === this.#lastExplained) return;
        this.#lastExplained = text;
        this.#asked = this.#newId();
        this.model.send({ id: this.#asked, explain });
      });
    }
    /** @param {Answer | undefined} message */
    answer(message) {
      const id = message?.id;
      if (message === void 0 || typeof id !== "string" || !id.startsWith(`${this.#prefix}-`)) return;
      this.#heard(id);
      if (id === this.#asked) this.#explained(message);
      else if (message.ok === false && message.text) this.notices.refuse(message.text);
    }
    /** A frame was drawn, in which one sees what became of what was pressed. */
    drawn() {
      for (const control of this.#taken) setAttribute(control, "data-pressed", null);
      this.#taken.clear();
    }
    /** @param {Answer} message */
    #explained({ ok, code, text }) {
      if (ok && code) this.python.explain(code);
      else this.python.refuse(text);
    }
    /** @param {Element | undefined} control */
    #tellWaiting(control) {
      if (!this.ui.frame?.during) return;
      if (control) setAttribute(control, "data-waiting", true);
      this.notices.tell(WAITING);
    }
    /** @param {Element | undefined} control */
    #tellUnheard(control) {
      if (this.ui.frame?.during) return;
      if (control) setAttribute(control, "data-pressed", null);
      this.notices.tell(UNHEARD);
    }
    /** @param {string} id */
    #heard(id) {
      const sent = this.#unheard.get(id);
      if (sent === void 0) return;
      for (const timer of sent.timers) this.ui.timers.cancel(timer);
      this.#unheard.delete(id);
      const { control } = sent;
      const others = [...this.#unheard.values()];
      if (control && others.every((one) => one.control !== control)) {
        setAttribute(control, "data-waiting", null);
        this.#taken.add(control);
      }
      if (others.length > 0) return;
      this.notices.withdraw(WAITING);
      this.notices.withdraw(UNHEARD);
    }
    #newId() {
      this.#serial += 1;
      return `${this.#prefix}-${this.#serial}`;
    }
  };

  // workq_helpers/stage/js/worker_states.js
  var STATE_ICONS = {
    starting: "◔",
    idle: "○",
    busy: "▶︎",
    holding: "◐",
    frozen: "❄︎",
    reconnecting: "↻",
    disconnected: "⊘",
    stopping: "◑",
    stopped: "■",
    killed: "✕",
    crashed: "⚠︎"
  };
  var ENDED = /* @__PURE__ */ new Set(["stopped", "killed", "crashed"]);
  var hasEnded = (worker) => ENDED.has(worker.state);

  // workq_helpers/stage/js/density.js
  var COMPACT_FROM = 5;
  var CROWD_FROM = 9;
  var MASS_FROM = 17;
  var ENDED_IN_THE_ROOM_OF_ONE = 3;
  function densityOf(workers) {
    const ended = workers.filter(hasEnded).length;
    const count = workers.length - ended + Math.floor(ended / ENDED_IN_THE_ROOM_OF_ONE);
    if (count >= MASS_FROM) return "mass";
    if (count >= CROWD_FROM) return "crowd";
    return count >= COMPACT_FROM ? "compact" : "roomy";
  }

  // workq_helpers/stage/js/chip_list.js
  var ChipList = class {
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
        if (chip !== void 0) return chip;
        const old = spare.shift();
        if (old !== void 0 && old.index !== index) old.chip.element.remove();
        return old?.chip ?? this.ui.chips.take();
      });
      for (const { chip } of spare) this.ui.chips.give(chip);
      return chips;
    }
  };

  // workq_helpers/stage/js/ends.js
  var ENDS = [
    { name: "lost", icon: "✕", title: "Lost", note: "Nobody has them any more.", one: "Nobody has it any more." },
    { name: "done", icon: "✓", title: "Done", note: "", one: "" },
    {
      name: "discarded",
      icon: "⊘",
      title: "Discarded",
      note: "Dropped on purpose or purged.",
      one: "Dropped on purpose or purged."
    },
    {
      name: "dead-lettered",
      icon: "⇥",
      title: "Dead-lettered",
      note: "Their queue handed them to its dead letter exchange.",
      one: "Its queue handed it to its dead letter exchange."
    },
    {
      name: "returned",
      icon: "↩︎",
      title: "Returned",
      note: "No queue for them: sent back to the publisher.",
      one: "No queue for it: sent back to the publisher."
    },
    {
      name: "refused",
      icon: "⊗",
      title: "Refused",
      note: "The broker would not take them.",
      one: "The broker would not take it."
    },
    {
      name: "unknown",
      icon: "?",
      title: "Unknown",
      note: "Nobody here saw what became of them.",
      one: "Nobody here saw what became of it."
    }
  ];

  // workq_helpers/stage/js/words.js
  var NUMBERS = new Intl.NumberFormat("en-US");
  var formatCount = (value) => value === null ? "–" : NUMBERS.format(value);
  var formatSeconds = (value) => `${value.toFixed(1)} s`;
  var plural = (count, one) => `${formatCount(count)} ${one}${count === 1 ? "" : "s"}`;
  var FROM_THE_RIGHT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u;
  var isolated = (name) => FROM_THE_RIGHT.test(name) ? `⁨${name}⁩` : name;
  var countDots = (text) => text.split(".").length - 1;
  var andMore = (count, what) => count ? `+ ${plural(count, `more ${what}`)}` : "";

  // workq_helpers/stage/js/end_column.js
  function endColumn(ui) {
    const lists = ENDS.map((end) => ({ name: end.name, list: endList(ui, end) }));
    return {
      element: ui.h(
        "section",
        { role: "group", class: "workq-column workq-ends", "aria-label": "What became of the messages" },
        ...lists.map(({ list }) => list.element)
      ),
      /** @param {Frame} frame */
      draw(frame) {
        for (const { name, list } of lists) list.draw(frame.ends[name]);
      }
    };
  }
  function endList(ui, { name, icon, title, note, one }) {
    const { h } = ui;
    const count = h("span", { class: "workq-end-count", "data-count": name });
    const list = h("ol", { class: "workq-end-list", "aria-label": `${title}, newest first` });
    const chips = new ChipList(ui, list, `end ${name}`);
    const what = hint(ui);
    const more = hint(ui);
    const sign = h("span", { class: "workq-icon", "aria-hidden": "true" }, icon);
    const element = h(
      "section",
      { role: "group", class: "workq-end", "data-end": name, "aria-label": title },
      h("h3", { class: "workq-title" }, sign, title, count),
      what.element,
      list,
      more.element
    );
    return {
      element,
      /** @param {EndList} end */
      draw(end) {
        setText(count, formatCount(end.count));
        setHidden(element, name !== "done" && end.count === 0);
        what.draw(end.count === 1 ? one : note);
        chips.draw(end.recent, () => name);
        const undrawn = end.count - end.recent.length;
        more.draw(undrawn > 0 ? `+ ${formatCount(undrawn)} more` : "");
      }
    };
  }

  // workq_helpers/stage/js/flights.js
  var FLIGHT_MILLISECONDS = 190;
  var RING_MILLISECONDS = 1500;
  var MOST_FLIGHTS = 20;
  var Flights = class {
    /** @type {Map<number, {box: DOMRect, place: string}>} Where those were that will move, by the message's key. */
    #before = /* @__PURE__ */ new Map();
    /** @param {Ui} ui */
    constructor(ui) {
      this.ui = ui;
    }
    /**
     * Called before drawing: who will move, and where is it now?
     * @param {Frame} frame
     */
    note(frame) {
      this.#before.clear();
      if (!this.#allowed(frame) || this.ui.places.size === 0) return;
      const { moving, shifting } = this.#movesOf(frame);
      if (moving.length === 0 || moving.length > MOST_FLIGHTS) return;
      for (const [key, was] of moving.concat(shifting).slice(0, MOST_FLIGHTS)) {
        this.#before.set(key, { box: was.chip.element.getBoundingClientRect(), place: was.place });
      }
    }
    /** Called after drawing: let them travel. */
    start() {
      const flights = [];
      for (const [key, { box, place }] of this.#before) {
        const now = this.ui.places.get(key);
        if (now === void 0 || now.chip.element.animate === void 0) continue;
        now.chip.flight?.cancel();
        flights.push({ now, box, place });
      }
      const measured = flights.map((flight) => ({ ...flight, to: flight.now.chip.element.getBoundingClientRect() }));
      const edge = measured.length > 0 ? rightEdgeOf(measured[0].now.chip.element) : 0;
      for (const { now, box, place, to } of measured) fly(now, box, place, to, edge);
      this.#before.clear();
    }
    /** @param {Frame} frame */
    #allowed({ playback: { mode } }) {
      return (mode === "live" || mode === "replaying") && !this.ui.reducedMotion.matches;
    }
    /** @param {Frame} frame */
    #movesOf(frame) {
      const moving = [];
      const shifting = [];
      eachMessage(frame, (message, place) => {
        const was = this.ui.places.get(message.key);
        if (was === void 0) return;
        if (was.place !== place) moving.push([message.key, was]);
        else if (place.startsWith("queue ")) shifting.push([message.key, was]);
      });
      return { moving, shifting };
    }
  };
  function rightEdgeOf(element) {
    const { left, width } = (
      /** @type {Element} */
      element.closest(".workq-stage").getBoundingClientRect()
    );
    return left + width;
  }
  function fly({ chip, place }, from, was, to, edge) {
    const [x, y] = [Math.min(from.left - to.left, edge - to.left - to.width), from.top - to.top];
    if (from.width === 0 || to.width === 0 || Math.abs(x) < 1 && Math.abs(y) < 1) return;
    chip.flight = chip.element.animate(
      [
        { transform: `translate(${x}px, ${y}px)`, zIndex: 9 },
        { transform: "none", zIndex: 9 }
      ],
      { duration: FLIGHT_MILLISECONDS, easing: "cubic-bezier(.2, .7, .3, 1)" }
    );
    if (!was.startsWith("worker ") || !(place.startsWith("queue ") || place === "end lost")) return;
    chip.element.animate([{ outline: "3px solid currentColor" }, { outline: "3px solid transparent" }], {
      duration: RING_MILLISECONDS,
      easing: "ease-in"
    });
  }
  function eachMessage(frame, visit) {
    for (const queue of frame.queues) {
      for (const message of queue.waiting) visit(message, `queue ${queue.name}`);
    }
    for (const worker of frame.workers) {
      for (const message of worker.slots) visit(message, `worker ${worker.name}`);
    }
    for (const { name } of ENDS) {
      for (const message of frame.ends[name].recent) visit(message, `end ${name}`);
    }
  }

  // workq_helpers/stage/js/frame_loop.js
  var FrameLoop = class {
    /** @type {Frame | null} */
    #newest = null;
    /** @type {number | null} */
    #request = null;
    /**
     * @param {Window} window
     * @param {(frame: Frame) => void} draw
     * @param {(error: unknown) => void} failed What becomes of a frame that can't be drawn.
     */
    constructor(window2, draw, failed) {
      this.window = window2;
      this.draw = draw;
      this.failed = failed;
    }
    /** @param {Frame} frame */
    show(frame) {
      this.#newest = frame;
      this.#request ??= this.window.requestAnimationFrame(() => this.#drawNewest());
    }
    stop() {
      if (this.#request !== null) this.window.cancelAnimationFrame(this.#request);
      this.#request = null;
    }
    #drawNewest() {
      this.#request = null;
      const frame = this.#newest;
      this.#newest = null;
      if (frame === null) return;
      try {
        this.draw(frame);
      } catch (error) {
        this.failed(error);
      }
    }
  };

  // workq_helpers/stage/js/gestures.js
  var Gestures = class {
    /** @type {[EventTarget, string, (event: any) => void, boolean][]} */
    #listeners;
    /** @param {View} view */
    constructor(view) {
      this.view = view;
      const { root, ui } = view;
      const release = () => this.#release();
      this.#listeners = [
        [root, "click", (event) => this.#click(event), false],
        [root, "submit", (event) => this.#submit(event), false],
        [root, "input", (event) => this.#input(event), false],
        [root, "change", (event) => this.#change(event), false],
        [root, "focusin", (event) => this.#showCall(event.target), false],
        [root, "pointerover", (event) => this.#showCall(event.target), false],
        [root, "pointerdown", (event) => this.#press(event), false],
        [root, "keydown", (event) => this.#keydown(event), false],
        [root, "focusout", (event) => this.#focusout(event), false],
        [root, "toggle", (event) => this.#toggle(event), true],
        // it doesn't bubble
        [ui.window, "pointerup", release, false],
        [ui.window, "pointercancel", release, false]
      ];
    }
    connect() {
      for (const [where, name, act, capture] of this.#listeners) where.addEventListener(name, act, capture);
    }
    disconnect() {
      for (const [where, name, act, capture] of this.#listeners) where.removeEventListener(name, act, capture);
    }
    /** @param {On} event */
    #click({ target }) {
      const pressed = this.#closest(target, (one) => one[ON_CLICK] || one[COMMAND] && one.hasAttribute("data-do"));
      if (pressed?.[ON_CLICK]) pressed[ON_CLICK]();
      else if (pressed && pressed.getAttribute("type") !== "submit") this.#run(pressed);
    }
    /** @param {On} event */
    #submit(event) {
      event.preventDefault();
      const main = event.target[MAIN];
      if (!main) return;
      this.#run(main);
      if (main.getAttribute("data-do") === "send") this.view.publisher.send.task.select();
    }
    /** @param {On} event */
    #input({ target }) {
      const { playback, publisher } = this.view;
      if (target === playback.scrubber.element) playback.scrubber.scrub();
      if (target === publisher.send.task) publisher.send.drawEffort();
      this.#showCall(target);
    }
    /** @param {On} event */
    #change({ target }) {
      target[ON_CHANGE]?.();
      this.#showCall(target);
    }
    /** @param {On} event */
    #press({ target }) {
      this.view.ui.pressed = target;
    }
    #release() {
      this.view.ui.pressed = null;
    }
    /** @param {On & KeyboardEvent} event */
    #keydown(event) {
      const { key, target } = event;
      if (isSave(event)) this.#passOn(event);
      if (key === "Escape") target[ASK]?.rest();
      const main = target.form?.[MAIN];
      if (key === "Enter" && isTextField(target) && main) {
        event.preventDefault();
        target.form?.requestSubmit(main);
      }
    }
    /**
     * Lets Jupyter have a key that the stage keeps from it with all others; else the browser would save the page.
     * @param {KeyboardEvent} event
     */
    #passOn(event) {
      event.preventDefault();
      const { KeyboardEvent } = this.view.ui.window;
      this.view.root.parentElement?.dispatchEvent(new KeyboardEvent(event.type, event));
    }
    /** @param {On} event */
    #focusout({ target }) {
      target[ASK]?.rest();
    }
    /** @param {Event & {target: HTMLDetailsElement}} event */
    #toggle({ target }) {
      const { tables: tables2, ui } = this.view;
      if (target === tables2.element && ui.frame !== null) tables2.draw(ui.frame);
    }
    /**
     * Sends the command of a control, unless it is off.
     * @param {Element} control
     */
    #run(control) {
      const { body, commands } = this.view;
      if (body.disabled || control.getAttribute("aria-disabled") === "true") return;
      if (control[ASK]?.press() === false) return;
      const command = control[COMMAND]?.();
      if (command) commands.send(command, control);
    }
    /**
     * Shows the call that does the same as the control at or around an element.
     * @param {Element} target
     */
    #showCall(target) {
      const { body, commands, python } = this.view;
      if (!python.element.open || body.disabled) return;
      const control = this.#closest(target, (one) => one[COMMAND]);
      if (control !== null) commands.explain(control);
    }
    /**
     * The first element with something, from an element up to the root.
     * @param {Element} element
     * @param {(element: Element) => unknown} has
     */
    #closest(element, has) {
      for (let at2 = (
        /** @type {Element | null} */
        element
      ); at2 && at2 !== this.view.root; at2 = at2.parentElement) {
        if (has(at2)) return at2;
      }
      return null;
    }
  };
  function isSave({ key, ctrlKey, metaKey }) {
    return (ctrlKey || metaKey) && key.toLowerCase() === "s";
  }
  function isTextField(element) {
    return element.tagName === "INPUT" && !["checkbox", "range"].includes(
      /** @type {HTMLInputElement} */
      element.type
    );
  }

  // workq_helpers/stage/js/introduced.js
  var isIntroduced = (controls, name) => controls.length === 0 || controls.includes(name);
  function introducedControls(ui, root) {
    const element = ui.h("button", { type: "button", class: "workq-button workq-all", "aria-expanded": "false" });
    let all = false;
    const draw = () => {
      const controls = ui.frame?.controls ?? [];
      setHidden(element, controls.length === 0);
      setText(element, all ? "Only this lesson's controls" : "All controls");
      setAttribute(element, "aria-expanded", String(all));
      setAttribute(root(), "data-controls", all || controls.length === 0 ? "all" : controls.join(" "));
    };
    element[ON_CLICK] = () => {
      all = !all;
      draw();
    };
    return { element, draw };
  }

  // workq_helpers/stage/js/legend.js
  function legend({ h }) {
    const item = (text, sign) => h("span", {}, sign, text);
    const mark = (kept) => h("span", { class: "workq-mark", "data-kept": kept });
    const signs = h(
      "p",
      { class: "workq-legend" },
      item("published as persistent; or a durable queue", mark("persistent")),
      item("transient", mark("transient")),
      item("dots of work", h("span", { class: "workq-dots", style: "--workq-dots: 3" })),
      item("free slot", h("span", { class: "workq-slot workq-sample" }))
    );
    return h("details", { class: "workq-signs", "data-control": "details" }, h("summary", {}, "Signs"), signs);
  }

  // workq_helpers/stage/js/liveness.js
  var SILENCE_SECONDS = 4.5;
  var A_MOMENT_SECONDS = 0.01;
  var SILENT = "No news from the kernel. It is busy, stopped or was restarted, so this picture may be out of date and its controls are off. If the kernel was restarted, run the cells again from the top.";
  var DISCONNECTED = "This picture has lost its kernel: it was restarted or stopped. The controls are off. Run the cells again from the top for a new one.";
  var Liveness = class {
    /** Why the view is dead; nothing while it lives. */
    reason = "";
    #watching = false;
    /**
     * @param {Ui} ui
     * @param {() => void} changed Called when the reason may be another.
     */
    constructor(ui, changed) {
      this.ui = ui;
      this.changed = changed;
      this.heardAt = ui.now();
      this.#watch();
    }
    /** A frame came. */
    heard() {
      this.heardAt = this.ui.now();
      this.reason = "";
      this.changed();
      if (!this.#watching) this.#watch();
    }
    /** The kernel is gone, or the way to it. */
    lost() {
      this.reason = DISCONNECTED;
      this.changed();
    }
    #watch() {
      const silentSeconds = this.ui.now() - this.heardAt;
      this.#watching = silentSeconds < SILENCE_SECONDS;
      if (this.#watching) {
        this.ui.timers.after(SILENCE_SECONDS - silentSeconds + A_MOMENT_SECONDS, () => this.#watch());
        return;
      }
      this.reason ||= SILENT;
      this.changed();
    }
  };

  // workq_helpers/stage/js/keyed_list.js
  var KeyedList = class {
    /** @type {Map<string | number, ListPart>} */
    parts = /* @__PURE__ */ new Map();
    /**
     * @param {HTMLElement} parent
     * @param {(item: Item) => string | number} keyOf
     * @param {(item: Item) => ListPart} make
     * @param {(part: ListPart) => void} onRemove Called before the element of an item that went is removed.
     */
    constructor(parent, keyOf, make, onRemove = () => {
    }) {
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
      if (part === void 0) {
        part = this.make(item);
        this.parts.set(key, part);
      }
      return part;
    }
  };

  // workq_helpers/stage/js/node_strip.js
  function nodeStrip(ui) {
    const { h } = ui;
    const list = h("ul", { class: "workq-node-list" });
    const cards = new KeyedList(
      list,
      (node) => node.name,
      (node) => nodeCard(ui, node.name)
    );
    const why = reasons(ui, ["kill_node"]);
    const said = h("p", { class: "workq-nodes-said" });
    const element = h(
      "section",
      { role: "group", class: "workq-nodes", "aria-label": "Nodes", hidden: true },
      heading(ui, "N", "Nodes"),
      list,
      said,
      why.element
    );
    return {
      element,
      /** @param {Frame} frame */
      draw(frame) {
        const { cluster } = frame;
        setHidden(element, cluster === null);
        if (cluster === null) return;
        cards.draw(cluster.nodes);
        const confirmed = cluster.confirmed === null ? "" : `${cluster.confirmed} orders confirmed`;
        setText(said, [cluster.deed, confirmed].filter(Boolean).join(" · "));
        why.draw(frame);
      }
    };
  }
  function nodesAreAll({ cluster, queues, workers, publishers }) {
    return cluster !== null && queues.length === 0 && workers.length === 0 && publishers.published === 0;
  }
  function nodeCard(ui, name) {
    const { h } = ui;
    const state = h("span", { class: "workq-node-state" });
    const list = h("ul", { class: "workq-copies" });
    const copies = new KeyedList(
      list,
      (copy) => copy.queue,
      (copy) => copyLine(ui, copy.queue)
    );
    const deed = button(ui, "Kill", "kill_node", { command: () => ({ node: name }) });
    const element = h(
      "li",
      { class: "workq-node", "data-node": name },
      h("p", { class: "workq-node-head" }, h("span", { class: "workq-name", title: name }, name), " is ", state),
      list,
      deed
    );
    return {
      element,
      /** @param {NodeCard} node */
      draw(node) {
        const down = node.state === "down";
        setText(deed, down ? "Start" : "Kill");
        setAttribute(deed, "data-danger", down ? null : "true");
        setAttribute(deed, "data-do", down ? "start_node" : "kill_node");
        setAttribute(deed, "aria-label", `${down ? "Start" : "Kill"} ${name}`);
        setAttribute(element, "data-state", node.state);
        setText(state, node.state);
        copies.draw(node.copies);
      }
    };
  }
  function copyLine({ h }, queue) {
    const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
    const role = h("span");
    return {
      element: h("li", { class: "workq-node-copy" }, icon, " ", queue, ", ", role),
      /** @param {QueueCopyLine} copy */
      draw(copy) {
        setText(icon, copy.role === "follower" ? "○" : "●");
        setText(role, copy.role);
      }
    };
  }

  // workq_helpers/stage/js/notice_list.js
  var MOST_SHOWN = 5;
  var NoticeList = class {
    /** @type {Notice[]} */
    #fromFrame = [];
    /** @type {Shown[]} */
    #own = [];
    /** @type {Set<number | string>} */
    #dismissed = /* @__PURE__ */ new Set();
    #open = false;
    #serial = 0;
    /** @param {Ui} ui */
    constructor(ui) {
      this.ui = ui;
      const list = ui.h("ul", { class: "workq-notices-list" });
      this.older = ui.h("button", {
        type: "button",
        class: "workq-button workq-older",
        "aria-expanded": "false",
        hidden: true
      });
      this.older[ON_CLICK] = () => {
        this.#open = !this.#open;
        this.#drawList();
      };
      const attributes = { role: "group", class: "workq-notices", "aria-label": "Notices", tabindex: "-1", hidden: true };
      this.element = ui.h("section", attributes, list, this.older);
      this.rows = new KeyedList(
        list,
        (notice) => notice.number,
        (notice) => noticeRow(ui, notice, () => this.#dismiss(notice)),
        (row) => ui.saveFocus(row.element, this.element)
      );
    }
    /** @param {Frame} frame */
    draw({ notices }) {
      const unchanged = notices.length === this.#fromFrame.length && notices.at(-1)?.number === this.#fromFrame.at(-1)?.number;
      if (unchanged) return;
      const numbers = new Set(notices.map((one) => one.number));
      for (const number of this.#dismissed) {
        if (typeof number === "number" && !numbers.has(number)) this.#dismissed.delete(number);
      }
      const texts = new Set(notices.map((one) => one.text));
      this.#own = this.#own.filter((one) => !texts.has(one.text));
      this.#fromFrame = notices;
      this.#drawList();
    }
    /**
     * Says why a command of this view was refused, unless Python says so in a notice.
     * @param {string} text
     */
    refuse(text) {
      if (this.#fromFrame.some((one) => one.text === text && !this.#dismissed.has(one.number))) return;
      this.#add("error", text);
    }
    /**
     * Says something of this view's own, until it is no longer so.
     * @param {string} text
     */
    tell(text) {
      this.withdraw(text);
      this.#add("info", text);
    }
    /** @param {string} text */
    withdraw(text) {
      if (!this.#own.some((one) => one.text === text)) return;
      this.#own = this.#own.filter((one) => one.text !== text);
      this.#drawList();
    }
    /**
     * @param {Notice["level"]} level
     * @param {string} text
     */
    #add(level, text) {
      this.#serial += 1;
      this.#own = [...this.#own.slice(1 - MOST_SHOWN), { number: `own ${this.#serial}`, level, text }];
      this.#drawList();
    }
    /** @param {Shown} notice */
    #dismiss({ number }) {
      this.#dismissed.add(number);
      this.#own = this.#own.filter((one) => one.number !== number);
      this.#drawList();
    }
    #drawList() {
      const shown = [...this.#fromFrame, ...this.#own].filter((one) => !this.#dismissed.has(one.number)).slice(-MOST_SHOWN).reverse();
      this.rows.draw(shown);
      if (shown.length > 0) setHidden(this.element, false);
      setAttribute(this.element, "data-open", this.#open);
      setHidden(this.older, shown.length < 2);
      setText(this.older, this.#open ? "Only the newest" : `${shown.length - 1} earlier`);
      setAttribute(this.older, "aria-expanded", String(this.#open));
    }
  };
  function noticeRow({ h }, { level }, dismiss) {
    const text = h("span", { class: "workq-notice-text" });
    const close = h(
      "button",
      { type: "button", class: "workq-dismiss", "aria-label": "Dismiss this notice", title: "Dismiss" },
      "✕"
    );
    close[ON_CLICK] = dismiss;
    const error = level === "error";
    const element = h(
      "li",
      { class: "workq-notice", "data-level": level },
      h("span", { class: "workq-icon", "aria-hidden": "true" }, error ? "⚠︎" : "ℹ︎"),
      h(
        "span",
        error ? { role: "alert", class: "workq-notice-body" } : { class: "workq-notice-body" },
        h("span", { class: "workq-notice-level" }, error ? "Problem: " : ""),
        text
      ),
      close
    );
    return {
      element,
      /**
       * @param {Shown} notice
       * @param {number} index
       */
      draw(notice, index) {
        setText(text, notice.text);
        setAttribute(element, "data-older", index > 0);
      }
    };
  }

  // workq_helpers/stage/js/overlay.js
  var Overlay = class {
    /** @type {HTMLElement | null} */
    #element = null;
    /** @type {HTMLElement | null} Where focus was, to bring it back. */
    #focused = null;
    /**
     * @param {Ui} ui
     * @param {HTMLElement} root
     * @param {HTMLFieldSetElement} body
     */
    constructor(ui, root, body) {
      this.ui = ui;
      this.root = root;
      this.body = body;
      this.text = ui.h("p");
    }
    /** @param {string} why Nothing while the view lives. */
    draw(why) {
      setAttribute(this.root, "data-alive", why ? "false" : "true");
      if (why && this.#element === null) this.#cover();
      else if (!why && this.#element !== null) this.#uncover(this.#element);
      if (why) setText(this.text, why);
    }
    #cover() {
      const { activeElement } = this.ui.document;
      this.#focused = this.root.contains(activeElement) ? (
        /** @type {HTMLElement} */
        activeElement
      ) : null;
      this.#element = this.ui.h("div", { class: "workq-overlay", role: "alert" }, this.text);
      this.root.append(this.#element);
      this.body.disabled = true;
    }
    /** @param {HTMLElement} element */
    #uncover(element) {
      element.remove();
      this.#element = null;
      this.body.disabled = false;
      const { activeElement, body } = this.ui.document;
      if (activeElement === null || activeElement === body) this.#focused?.focus();
      this.#focused = null;
    }
  };

  // workq_helpers/stage/js/place.js
  var LOOK_SECONDS = 0.05;
  var Place = class {
    /** @type {number | null} */
    #timer = null;
    /** @type {object | null} Its notebook, where no cell has an output that it could stand in. */
    notebook = null;
    /**
     * @param {Ui} ui
     * @param {HTMLElement} el The cell's output.
     * @param {HTMLElement} root The view.
     */
    constructor(ui, el, root) {
      this.ui = ui;
      this.el = el;
      this.root = root;
      this.panel = ui.window.workqPanel;
      const { h } = ui;
      const show2 = this.#button("Show it", () => this.panel?.show(this));
      const here = this.#button("Show it here", () => this.#stay());
      this.note = h("p", { class: "workq-elsewhere", hidden: true }, "The stage is beside the notebook. ", show2, here);
      this.back = h(
        "p",
        { class: "workq-elsewhere", hidden: true },
        this.#button("Show the stage beside the notebook", () => this.#move())
      );
    }
    /** @param {object | null} notebook */
    open(notebook) {
      this.notebook = notebook;
      this.el.append(this.note, this.back);
      if (this.panel) this.#join();
      else this.el.append(this.root);
    }
    close() {
      this.ui.timers.cancel(this.#timer);
      this.panel?.leave(this);
      for (const element of [this.note, this.back, this.root]) element.remove();
    }
    /**
     * The panel has said where the view is.
     * @param {Where} where
     */
    place(where) {
      if (where === "cell" && this.root.parentNode !== this.el) this.el.append(this.root);
      if (where === "away") this.root.remove();
      setHidden(this.note, where === "cell");
      setHidden(this.back, where !== "cell");
    }
    /** Joins the panel as soon as the cell is on the page; until then the view is nowhere, for another may be beside. */
    #join() {
      if (this.notebook) {
        this.panel?.join(this);
        return;
      }
      if (!this.el.isConnected) {
        this.#timer = this.ui.timers.after(LOOK_SECONDS, () => this.#join());
        return;
      }
      if (this.panel?.isBeside(this.el)) this.panel.join(this);
      else this.el.append(this.root);
    }
    #stay() {
      this.panel?.leave(this);
      this.place("cell");
    }
    #move() {
      this.panel?.show(this);
    }
    /**
     * @param {string} text
     * @param {() => void} act
     */
    #button(text, act) {
      const element = this.ui.h("button", { type: "button", class: "workq-link" }, text);
      element.addEventListener("click", act);
      return element;
    }
  };

  // workq_helpers/stage/js/scrubber.js
  var SEEK_SECONDS = 0.12;
  function scrubber(ui, commands) {
    const element = ui.h("input", {
      type: "range",
      class: "workq-scrubber",
      "data-field": "seconds",
      min: "0",
      max: "0",
      step: "0.1",
      value: "0",
      "aria-label": "Moment of the recording shown, in seconds"
    });
    element[COMMAND] = () => ({ do: "seek", seconds: Number(element.value) });
    const time = ui.h("span", { class: "workq-time" });
    let endSeconds = 0;
    let held = false;
    let wanted = null;
    let timer = null;
    const seek = () => {
      timer = null;
      if (wanted === null) {
        held = held && ui.pressed === element;
        return;
      }
      commands.send({ do: "seek", seconds: wanted }, element);
      wanted = null;
      timer = ui.timers.after(SEEK_SECONDS, seek);
    };
    return {
      element,
      time,
      /** The learner moved it. */
      scrub() {
        held = true;
        wanted = Number(element.value);
        setText(time, `${Math.min(wanted, endSeconds).toFixed(1)} / ${formatSeconds(endSeconds)}`);
        if (timer === null) seek();
      },
      /** @param {PlaybackBar} playback */
      draw({ seconds, end_seconds }) {
        endSeconds = end_seconds;
        setAttribute(element, "max", (Math.ceil(end_seconds * 10) / 10).toFixed(1));
        if (held || ui.pressed === element) return;
        const value = seconds.toFixed(1);
        if (element.value !== value) element.value = value;
        setAttribute(element, "aria-valuetext", `${value} of ${formatSeconds(end_seconds)}`);
        setText(time, `${value} / ${formatSeconds(end_seconds)}`);
      }
    };
  }

  // workq_helpers/stage/js/story.js
  var MARK_ICONS = { "": "", kill: "✕", crash: "⚠︎", outage: "⚠︎", loss: "✖︎" };
  var LOOK_SECONDS2 = 0.25;
  function story(ui) {
    const { h } = ui;
    const list = h("ol", { class: "workq-story-lines" });
    const title = "Show whole sentences";
    const whole = h("button", { type: "button", class: "workq-button workq-story-whole", title, hidden: true });
    const element = h(
      "section",
      { role: "group", class: "workq-story", "aria-label": "What happened last" },
      list,
      whole
    );
    const lines = [];
    let opened = false;
    let looking = false;
    const draw = () => {
      setAttribute(element, "data-whole", opened);
      setAttribute(whole, "aria-expanded", String(opened));
      setText(whole, opened ? "Less" : "More");
    };
    const look = () => {
      looking = false;
      const focused = ui.document.activeElement === whole;
      setHidden(whole, !opened && !focused && !lines.some((line) => line.isCut()));
    };
    whole[ON_CLICK] = () => {
      opened = !opened;
      draw();
    };
    draw();
    const lookSoon = () => {
      if (!looking) ui.timers.after(LOOK_SECONDS2, look);
      looking = true;
    };
    ui.resizes.watch(list, lookSoon);
    return {
      element,
      /** @param {Frame} frame */
      draw(frame) {
        while (lines.length < frame.story.length) {
          const line = storyLine(ui);
          lines.push(line);
          list.append(line.element);
        }
        lines.forEach((line, index) => {
          line.draw(frame.story[index]);
        });
        lookSoon();
      }
    };
  }
  function storyLine({ h }) {
    const seconds = h("span", { class: "workq-story-seconds" });
    const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
    const text = h("span", { class: "workq-story-text" });
    const element = h("li", { class: "workq-story-line" }, seconds, icon, text);
    return {
      element,
      isCut: () => text.scrollWidth > text.clientWidth,
      /** @param {StoryLine | undefined} line */
      draw(line) {
        setHidden(element, line === void 0);
        if (line === void 0) return;
        setAttribute(element, "data-mark", line.mark || null);
        setText(seconds, `${line.seconds.toFixed(1)} s`);
        setText(icon, MARK_ICONS[line.mark]);
        setText(text, line.text);
      }
    };
  }

  // workq_helpers/stage/js/scrubber_marks.js
  var MARK_PIXELS = 16;
  function scrubberMarks(ui) {
    const element = ui.h("div", { class: "workq-marks", role: "group", "aria-label": "Kills, crashes and losses" });
    let drawn = null;
    let width = 0;
    const marks = new KeyedList(
      element,
      (mark) => mark.number,
      () => markButton(ui),
      (mark) => {
        ui.saveFocus(mark.element, element.parentElement?.querySelector("input"));
        ui.buttons.forget(mark.element);
      }
    );
    const draw = (playback) => {
      drawn = playback;
      marks.draw(playback.marks);
      const end = playback.end_seconds;
      const places = spread(
        playback.marks.map(({ seconds }) => end > 0 ? seconds / end : 0),
        width > 0 ? MARK_PIXELS / width : 0
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
  function spread(wanted, gap) {
    const least = Math.min(gap, 1 / Math.max(1, wanted.length - 1));
    const places = [...wanted];
    places.forEach((place, index) => {
      if (index > 0) places[index] = Math.max(place, places[index - 1] + least);
    });
    return places.map((place, index) => Math.min(place, 1 - (places.length - 1 - index) * least));
  }
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
      }
    };
  }

  // workq_helpers/stage/js/speed_select.js
  var SPEEDS = [0.25, 0.5, 1, 2, 4];
  function speedSelect(ui, commands) {
    const element = ui.h(
      "select",
      { class: "workq-input workq-speed", "data-field": "speed", "aria-label": "Speed of the replay" },
      ...SPEEDS.map((speed) => ui.h("option", { value: String(speed) }, `${speed}×`))
    );
    element.value = "1";
    const chosen = () => element.value === "1" ? {} : { speed: Number(element.value) };
    element[ON_CHANGE] = () => {
      if (ui.frame?.playback.mode === "replaying") commands.send({ do: "play", ...chosen() });
    };
    return { element, chosen };
  }

  // workq_helpers/stage/js/playback_bar.js
  function playbackBar(ui, commands) {
    const { h } = ui;
    const previous = stepButton(ui, "◀︎❘", "Previous event", -1);
    const speed = speedSelect(ui, commands);
    const play = playButton(ui, () => speed.chosen());
    const next = stepButton(ui, "❘▶︎", "Next event", 1);
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
        banner
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
      }
    };
  }
  function stepButton(ui, icon, name, by) {
    return button(ui, icon, "step", {
      command: () => ({ by }),
      "aria-label": name,
      title: name,
      class: "workq-button workq-transport"
    });
  }
  function playButton(ui, speed) {
    const sign = ui.h("span", { "aria-hidden": "true" });
    const word = ui.h("span", { class: "workq-play-word" });
    const element = button(ui, "", "pause", {
      class: "workq-button workq-play",
      command: () => element.getAttribute("data-do") === "play" ? speed() : {}
    });
    element.append(sign, word);
    return {
      element,
      /** @param {boolean} paused */
      draw(paused) {
        setText(sign, paused ? "▶︎" : "❚❚");
        setText(word, paused ? " Play" : " Pause");
        setAttribute(element, "aria-label", paused ? "Play" : "Pause");
        setAttribute(element, "data-do", paused ? "play" : "pause");
        setAttribute(element, "title", paused ? "Replay the recording from here" : "Pause the picture");
      }
    };
  }
  function sayOf({ mode, caption }) {
    if (mode === "live") return "";
    return `${caption} The buttons below act on RabbitMQ as it is now.`;
  }

  // workq_helpers/stage/js/queue_select.js
  function queueSelect(ui) {
    const { h } = ui;
    const select2 = h("select", { class: "workq-input", "data-field": "queue" });
    const label = h("label", { class: "workq-field" }, h("span", {}, "to queue"), select2);
    const element = h("div", { class: "workq-target" });
    const options = new KeyedList(
      select2,
      (name) => name,
      (name) => ({ element: h("option", { value: name }, name), draw() {
      } })
    );
    const hasFocus = () => label.contains(ui.document.activeElement);
    select2[ON_CHANGE] = () => {
      ui.chosenQueue = select2.value;
    };
    return {
      element,
      /** @param {Frame} frame */
      draw(frame) {
        const names = frame.queues.filter((queue) => !queue.gone && queue.name).map((queue) => queue.name);
        if (ui.chosenQueue !== null && !names.includes(ui.chosenQueue)) ui.chosenQueue = null;
        const shown = label.parentNode === element;
        if (names.length > 1) {
          options.draw(names);
          if (!shown) element.append(label);
          if (!hasFocus() && select2.value !== ui.queue()) select2.value = ui.queue();
        } else if (shown && !hasFocus()) label.remove();
      }
    };
  }

  // workq_helpers/stage/js/send_forms.js
  function sendForm(ui) {
    const { h } = ui;
    const target = queueSelect(ui);
    const task = textField(ui, "task", "Hello...", { "aria-label": "Task to send" });
    const effort = h("span", { class: "workq-effort" });
    const persistent = checkbox(
      ui,
      "persistent",
      "persistent",
      "delivery_mode 2: asks a durable queue to keep it on disk"
    );
    const confirm = checkbox(ui, "confirm", "confirm", "Publisher confirms: the broker says that it has the message");
    const options = () => ({ queue: ui.queue(), persistent: persistent.input.checked, confirm: confirm.input.checked });
    const send = button(ui, "Send", "send", {
      command: () => ({ ...options(), task: task.value }),
      type: "submit",
      class: "workq-button workq-primary",
      title: "Send this task (Enter)"
    });
    const five = button(ui, "Send five", "five", {
      command: options,
      title: "Send the tutorial's five tasks: one to five dots"
    });
    const element = form(
      ui,
      send,
      { class: "workq-send" },
      target.element,
      task,
      effort,
      h("div", { class: "workq-checks" }, persistent.element, confirm.element),
      h("div", { class: "workq-buttons" }, send, five)
    );
    const drawEffort = () => setText(effort, `${plural(countDots(task.value), "dot")} of work`);
    drawEffort();
    return {
      element,
      task,
      /** What both forms send with each task. */
      options,
      drawEffort,
      /** @param {Frame} frame */
      draw: (frame) => target.draw(frame)
    };
  }
  function manyForm(ui, options) {
    const count = numberField(ui, "tasks", "count", "20", { min: "1" });
    const dots = numberField(ui, "dots each", "dots", "1");
    const rate = numberField(ui, "a second", "rate", "0", { step: "any" });
    const many = button(ui, "Send them", "many", {
      command: () => ({ ...options(), count: count.value(), dots: dots.value(), rate: rate.value() }),
      type: "submit"
    });
    return form(
      ui,
      many,
      { class: "workq-many-form" },
      count.element,
      dots.element,
      rate.element,
      ui.h("p", { class: "workq-hint" }, "0 a second: as fast as it goes"),
      many
    );
  }

  // workq_helpers/stage/js/publisher_column.js
  var COUNTED = ["published", "confirmed", "refused", "returned"];
  function publisherColumn(ui) {
    const { h } = ui;
    const send = sendForm(ui);
    const many = h(
      "details",
      { class: "workq-many", "data-control": "many" },
      h("summary", {}, "Many…"),
      manyForm(ui, send.options)
    );
    const why = reasons(ui, ["send", "five", "many"]);
    const numbers = publisherNumbers(ui);
    const active = h("ul", { class: "workq-publishers", "aria-label": "Publishers at work" });
    const rows = new KeyedList(
      active,
      (one) => one.name,
      () => publisherRow(ui)
    );
    const more = hint(ui);
    return {
      element: h(
        "section",
        { role: "group", class: "workq-column workq-publisher", "aria-label": "Publisher" },
        heading(ui, "P", "Publisher"),
        send.element,
        many,
        why.element,
        numbers.element,
        active,
        more.element
      ),
      send,
      /** @param {Frame} frame */
      draw(frame) {
        send.draw(frame);
        numbers.draw(frame.publishers);
        rows.draw(frame.publishers.active);
        more.draw(andMore(frame.publishers.more, "publisher"));
        why.draw(frame);
      }
    };
  }
  function publisherNumbers({ h }) {
    const rows = COUNTED.map((name) => {
      const value = h("dd", { "data-count": name });
      return { name, value, row: h("div", {}, h("dt", {}, name), value) };
    });
    return {
      element: h("dl", { class: "workq-numbers" }, ...rows.map(({ row }) => row)),
      /** @param {PublisherColumn} publishers */
      draw(publishers) {
        for (const { name, value, row } of rows) {
          setText(value, formatCount(publishers[name]));
          setHidden(row, name !== "published" && publishers[name] === 0);
        }
      }
    };
  }
  function publisherRow({ h }) {
    const name = h("span", { class: "workq-publisher-name" });
    const said = h("span");
    return {
      element: h("li", {}, name, " ", said),
      /** @param {PublisherLine} one */
      draw(one) {
        setText(name, one.name);
        setText(said, `${one.state}, ${formatCount(one.published)} published`);
      }
    };
  }

  // workq_helpers/stage/js/call_line.js
  var COPIED_SECONDS = 2;
  function callLine(ui, kind) {
    const code = ui.h("code");
    const copy = ui.h("button", { type: "button", class: "workq-button workq-copy" }, "Copy");
    let timer = null;
    const say = (text) => {
      setText(copy, text);
      ui.timers.cancel(timer);
      timer = ui.timers.after(COPIED_SECONDS, () => setText(copy, "Copy"));
    };
    copy[ON_CLICK] = async () => {
      try {
        await ui.window.navigator.clipboard.writeText(code.textContent);
        say("Copied");
      } catch {
        select(ui, code);
        say("Selected");
      }
    };
    return {
      element: ui.h("div", { class: kind }, code, copy),
      /** @param {string} text */
      draw(text) {
        setText(code, text);
        setAttribute(copy, "aria-label", `Copy ${text}`);
      }
    };
  }
  function select({ document: document2, window: window2 }, element) {
    const range = document2.createRange();
    range.selectNodeContents(element);
    const selection = window2.getSelection();
    selection?.removeAllRanges();
    selection?.addRange(range);
  }

  // workq_helpers/stage/js/python_panel.js
  var HINT = "Point at a control, or move to it with Tab: here stands the call that does the same.";
  var PythonPanel = class {
    /** @param {Ui} ui */
    constructor(ui) {
      const { h } = ui;
      this.explained = callLine(ui, "workq-explained");
      this.said = h("p", { class: "workq-hint" }, HINT);
      this.none = h("p", { class: "workq-hint" }, "No call was made from the stage yet.");
      const history = h("ol", { class: "workq-calls", "aria-label": "Calls made from the stage, newest first" });
      this.element = h(
        "details",
        { class: "workq-python", "data-control": "python" },
        h("summary", {}, "Python"),
        h(
          "div",
          { class: "workq-python-body" },
          this.said,
          h("div", { class: "workq-now" }, this.explained.element),
          h("h4", { class: "workq-label" }, "Calls made, newest first"),
          this.none,
          history
        )
      );
      setHidden(this.explained.element, true);
      this.rows = new KeyedList(
        history,
        (call) => call.number,
        () => callRow(ui),
        (row) => ui.saveFocus(row.element, this.element.firstElementChild)
      );
    }
    /** @param {Frame} frame */
    draw({ python }) {
      this.rows.draw([...python].reverse());
      setHidden(this.none, python.length > 0);
    }
    /** @param {string} code */
    explain(code) {
      this.explained.draw(code);
      setHidden(this.explained.element, false);
      setHidden(this.said, true);
    }
    /** @param {string | undefined} text Why there is no code for it. */
    refuse(text) {
      setHidden(this.explained.element, true);
      setHidden(this.said, false);
      setText(this.said, text || HINT);
    }
  };
  function callRow(ui) {
    const line = callLine(ui, "workq-call");
    return {
      element: ui.h("li", {}, line.element),
      /** @param {CallLine} call */
      draw: (call) => line.draw(call.code)
    };
  }

  // workq_helpers/stage/js/declare_form.js
  function declareForm(ui) {
    const element = ui.h("div", { class: "workq-declare" });
    let made = null;
    return {
      element,
      /** @param {Frame} frame */
      draw(frame) {
        const wanted = frame.queues.every((queue) => queue.gone) && frame.more_queues === 0;
        if (wanted && made === null) {
          made = makeForm(ui, frame.queue || "hello");
          element.append(made);
        } else if (!wanted && made !== null) {
          ui.saveFocus(made, element.parentElement);
          made.remove();
          ui.buttons.forget(made);
          made = null;
        }
      }
    };
  }
  function makeForm(ui, queue) {
    const { h } = ui;
    const name = textField(ui, "queue", queue);
    const durable = checkbox(ui, "durable", "durable", "The queue itself survives a restart of RabbitMQ");
    const declare = button(ui, "Declare", "declare", {
      command: () => ({ queue: name.value, durable: durable.input.checked }),
      type: "submit",
      class: "workq-button workq-primary"
    });
    return form(
      ui,
      declare,
      { class: "workq-declare-form" },
      heading(ui, "Q", "Queue"),
      h("p", { class: "workq-hint" }, "Declare a queue to begin with:"),
      h("label", { class: "workq-field" }, h("span", {}, "name"), name),
      durable.element,
      declare
    );
  }

  // workq_helpers/stage/js/exchange_list.js
  function exchangeList(ui) {
    const list = ui.h("ul", { class: "workq-exchange-list" });
    const cards = new KeyedList(
      list,
      (exchange) => exchange.name,
      (exchange) => exchangeCard(ui, exchange.name)
    );
    const more = hint(ui);
    const element = ui.h(
      "section",
      { role: "group", class: "workq-exchanges", "aria-label": "Exchanges", hidden: true },
      heading(ui, "X", "Exchanges"),
      list,
      more.element
    );
    return {
      element,
      /** @param {Frame} frame */
      draw({ exchanges, more_exchanges }) {
        setHidden(element, exchanges.length === 0);
        cards.draw(exchanges);
        more.draw(andMore(more_exchanges, "exchange"));
      }
    };
  }
  function exchangeCard(ui, name) {
    const { h } = ui;
    const type = h("span", { class: "workq-kind" });
    const none = h("p", { class: "workq-hint" }, "bound to nothing: RabbitMQ drops what is sent to it");
    const list = h("ul", { class: "workq-bindings", "aria-label": `Bindings of ${name}` });
    const lines = new KeyedList(
      list,
      (binding) => `${binding.kind} ${binding.destination} ${binding.routing_key}`,
      () => bindingLine(ui)
    );
    const more = hint(ui);
    return {
      element: h(
        "li",
        { class: "workq-exchange", "data-exchange": name },
        h("p", { class: "workq-exchange-head" }, h("span", { class: "workq-name", title: name }, name), type),
        list,
        none,
        more.element
      ),
      /** @param {ExchangeCard} exchange */
      draw(exchange) {
        setText(type, exchange.type);
        lines.draw(exchange.bindings);
        setHidden(none, exchange.bindings.length > 0);
        more.draw(andMore(exchange.more, "binding"));
      }
    };
  }
  function bindingLine({ h }) {
    const key = h("span", { class: "workq-binding-key" });
    const destination = h("span", { class: "workq-binding-destination" });
    return {
      element: h("li", { class: "workq-binding" }, key, " → ", destination),
      /** @param {BindingLine} binding */
      draw({ routing_key, kind, destination: name }) {
        setText(key, isolated(routing_key) || "every message");
        setText(destination, `${kind} ${isolated(name)}`);
      }
    };
  }
  function deadLettersOf({ dead_letters }, queue) {
    const route = dead_letters.find((one) => one.queue === queue);
    if (route === void 0) return "";
    if (route.exchange === "") return `dead letters → queue ${isolated(route.routing_key || queue)}`;
    const key = route.routing_key ? `, key ${isolated(route.routing_key)}` : "";
    return `dead letters → exchange ${isolated(route.exchange)}${key}`;
  }

  // workq_helpers/stage/js/ghosts.js
  var GhostList = class {
    /**
     * @param {Ui} ui
     * @param {string} name
     */
    constructor(ui, name) {
      const { h } = ui;
      this.text = h("p", { class: "workq-hint" });
      const list = h("ol", { class: "workq-lane", "aria-label": `Messages that RabbitMQ has in ${name} no more` });
      this.chips = new ChipList(ui, list, `ghosts ${name}`);
      this.element = h("div", { class: "workq-ghosts", hidden: true }, this.text, list);
    }
    /** @param {QueueCard} queue */
    draw(queue) {
      const told = [ghostsOf(queue), unseenIn(queue)].filter(Boolean).join(" ");
      setHidden(this.element, told === "");
      setText(this.text, told);
      const ghosts = queue.ghosts.recent.map((message) => ({ ...message, key: -1 - message.key }));
      this.chips.draw(ghosts, () => "ghost");
    }
    /** Before it goes. */
    clear() {
      this.chips.clear();
    }
  };
  function ghostsOf({ ghosts, ready, unseen }) {
    if (ghosts.count === 0) return "";
    const counted = ready.broker === null ? "" : `RabbitMQ counts ${formatCount(ready.broker)} ready. `;
    const gone = unseen > 0 ? "" : ` that ${ghosts.count === 1 ? "is" : "are"} not here`;
    const seen = `The log saw ${formatCount(ghosts.count)} more come in${gone}`;
    return `${counted}${seen}${ghosts.why ? `: ${ghosts.why}.` : "."}`;
  }
  function unseenIn({ ghosts, unseen, ready, unacknowledged }) {
    const { log, broker } = unacknowledged;
    const twice = ready.log + unseen + log - (ready.broker ?? 0) - (broker ?? 0);
    const back = Math.min(unseen, Math.max(0, Math.min(log - (broker ?? log), twice)));
    const told = [];
    if (back > 0)
      told.push(`RabbitMQ counts ${formatCount(back)} as ready again; who took it has not heard of that yet.`);
    const whose = ghosts.count > 0 ? "beside those that wait here" : "that nobody here has seen";
    if (unseen > back) told.push(`RabbitMQ counts ${plural(unseen - back, "message")} ${whose}.`);
    return told.join(" ");
  }

  // workq_helpers/stage/js/queue_counts.js
  var COUNTED2 = ["ready", "unacknowledged"];
  var TITLES = { ready: "Waiting in the queue", unacknowledged: "Delivered, not acknowledged yet" };
  var SOURCES = ["broker", "log"];
  function queueCounts({ h }, name) {
    const cells = COUNTED2.flatMap(
      (count) => SOURCES.map((source) => ({ count, source, cell: h("td", { "data-count": `${count}-${source}` }) }))
    );
    const rows = COUNTED2.map(
      (count) => h(
        "tr",
        {},
        h("th", { scope: "row", title: TITLES[count] }, count),
        ...cells.filter((one) => one.count === count).map(({ cell }) => cell)
      )
    );
    const heads = h(
      "tr",
      {},
      h("td"),
      h("th", { scope: "col", title: "As RabbitMQ reports it" }, "broker"),
      h("th", { scope: "col", title: "As the recorded events say" }, "log")
    );
    return {
      element: h(
        "table",
        { class: "workq-counts", "aria-label": `Messages of ${name}` },
        h("thead", {}, heads),
        h("tbody", {}, ...rows)
      ),
      /** @param {QueueCard} queue */
      draw(queue) {
        for (const { count, source, cell } of cells) {
          const value = queue[count][source];
          setText(cell, formatCount(value));
          setAttribute(cell, "title", value === null ? "RabbitMQ has not answered" : null);
        }
      }
    };
  }

  // workq_helpers/stage/js/why_waiting.js
  var NOT_CONNECTED = /* @__PURE__ */ new Set(["starting", "reconnecting", "disconnected", "stopping"]);
  function whyWaiting(frame, queue) {
    if (queue.gone) return queue.durability === "" ? "RabbitMQ has no such queue." : "This queue is gone.";
    const { state } = frame.broker;
    if (state !== "up" && state !== "coming back") return `RabbitMQ is ${state}: nothing moves.`;
    if (queue.ready.log === 0) {
      if (queue.ghosts.count + queue.unseen > 0 && queue.ready.broker) return "The log knows of none that waits here.";
      if (!queue.unacknowledged.log) return "Nothing waits here.";
      const consumed = frame.workers.some((worker) => worker.queue === queue.name);
      return `Nothing waits here: ${consumed ? "the workers hold the rest" : "all is in hand"}.`;
    }
    const [they, them] = queue.ready.log === 1 ? ["It waits", "it"] : ["They wait", "them"];
    const takers = frame.workers.filter((worker) => worker.queue === queue.name && !hasEnded(worker));
    if (takers.length === 0) return `${they} because no worker takes from this queue.`;
    const connected = takers.filter((worker) => !NOT_CONNECTED.has(worker.state));
    if (connected.length === 0) return `${they} until a worker is connected.`;
    if (connected.every((worker) => worker.free === 0)) {
      if (connected.every((worker) => worker.state === "frozen")) {
        return `${they} because no worker that could take ${them} responds.`;
      }
      const who = takers.length === 1 ? "the worker holds" : "every worker holds";
      return `${they} because ${who} as many as its prefetch count allows.`;
    }
    const cameBack = queue.waiting.some((message) => message.deliveries > 0);
    return `No ${cameBack ? "new " : ""}delivery of ${them} has been seen yet.`;
  }

  // workq_helpers/stage/js/queue_card.js
  var ROOM = [12, 12, 6, 4, 3];
  var QueueCardView = class {
    /** @type {boolean | null} */
    #resting = null;
    /**
     * @param {Ui} ui
     * @param {string} name
     */
    constructor(ui, name) {
      const { h } = ui;
      this.ui = ui;
      this.kept = h("span", { class: "workq-mark" });
      this.kind = h("span", { class: "workq-kind" });
      this.counts = queueCounts(ui, name);
      this.lane = h("ol", { class: "workq-lane", "aria-label": `Messages waiting in ${name}, head first` });
      this.chips = new ChipList(ui, this.lane, `queue ${name}`);
      this.more = h("p", { class: "workq-more", hidden: true });
      this.deadLetters = h("p", { class: "workq-dead-letters", hidden: true });
      this.why = h("p", { class: "workq-reason" });
      this.ghosts = new GhostList(ui, name);
      this.purge = button(ui, "Purge", "purge", {
        command: () => ({ queue: name }),
        "aria-label": `Purge ${name}`,
        title: "Drop every ready message of this queue"
      });
      this.held = h("summary", { title: "Nobody has turned to it since another queue was declared" });
      this.fold = h("details", { class: "workq-queue-fold" }, this.held, this.#inside());
      this.element = h(
        "section",
        { role: "group", class: "workq-queue", "data-queue": name, "aria-label": `Queue ${name}` },
        this.#title(name),
        this.fold
      );
    }
    /** @param {QueueCard} queue */
    draw(queue) {
      const frame = (
        /** @type {Frame} */
        this.ui.frame
      );
      const others = frame.queues.length - frame.resting.length;
      setAttribute(this.element, "data-gone", queue.gone ? "true" : "false");
      this.#drawFold(queue, frame.resting.includes(queue.name));
      this.#drawFacts(queue);
      this.counts.draw(queue);
      this.#drawWaiting(queue, ROOM[Math.min(others, ROOM.length - 1)]);
      const deadLetters = deadLettersOf(frame, queue.name);
      setText(this.deadLetters, deadLetters);
      setHidden(this.deadLetters, deadLetters === "");
      setText(this.why, whyWaiting(frame, queue));
      this.ghosts.draw(queue);
      setHidden(this.purge, queue.gone || queue.name === "");
    }
    /** Before it goes. */
    clear() {
      this.chips.clear();
      this.ghosts.clear();
      this.ui.saveFocus(this.element, this.element.closest(".workq-queue-column"));
      this.ui.buttons.forget(this.element);
    }
    /** @param {string} name */
    #title(name) {
      const { h } = this.ui;
      return h(
        "div",
        { class: "workq-title" },
        h("span", { class: "workq-glyph", "aria-hidden": "true" }, "Q"),
        h("h3", { class: "workq-name", title: name }, name || "in an exchange"),
        this.purge
      );
    }
    #inside() {
      const { h } = this.ui;
      const facts = h("p", { class: "workq-facts" }, this.kept, this.kind);
      const below = [this.deadLetters, this.why, this.ghosts.element];
      return h("div", { class: "workq-queue-inside" }, facts, this.counts.element, this.#pipe(), ...below);
    }
    #pipe() {
      const { h } = this.ui;
      const head = h("p", { class: "workq-end-label workq-head" }, "head: next to be delivered");
      const tail = h("p", { class: "workq-end-label workq-tail" }, "tail: new messages enter here");
      return h("div", { class: "workq-pipe" }, head, this.lane, this.more, tail);
    }
    /**
     * @param {QueueCard} queue
     * @param {boolean} resting
     */
    #drawFold({ ready, unacknowledged, gone }, resting) {
      if (resting !== this.#resting) this.fold.open = !resting;
      this.#resting = resting;
      setAttribute(this.element, "data-resting", resting);
      const held = [`${formatCount(ready.log)} ready`];
      if (unacknowledged.log > 0) held.push(`${formatCount(unacknowledged.log)} unacknowledged`);
      setText(this.held, gone ? "gone" : held.join(" · "));
    }
    /** @param {QueueCard} queue */
    #drawFacts({ durability, type, gone }) {
      setHidden(this.kept, durability === "");
      setAttribute(this.kept, "data-kept", durability === "durable" ? "persistent" : "transient");
      const missing = gone && (durability === "" ? "no such queue" : "gone");
      setText(this.kind, [durability, type, missing].filter(Boolean).join(" · "));
    }
    /**
     * @param {QueueCard} queue
     * @param {number} room
     */
    #drawWaiting(queue, room) {
      this.chips.draw(queue.waiting.slice(0, room), () => "waiting");
      const undrawn = queue.more + Math.max(0, queue.waiting.length - room);
      setText(this.more, `+ ${formatCount(undrawn)} more`);
      setHidden(this.more, undrawn === 0);
    }
  };

  // workq_helpers/stage/js/queue_column.js
  function queueColumn(ui) {
    const list = ui.h("div", { class: "workq-queues" });
    const cards = new KeyedList(
      list,
      (queue) => queue.name,
      (queue) => new QueueCardView(ui, queue.name),
      (card) => card.clear()
    );
    const more = hint(ui);
    const exchanges = exchangeList(ui);
    const declare = declareForm(ui);
    const why = reasons(ui, ["declare"]);
    return {
      element: ui.h(
        "section",
        { role: "group", class: "workq-column workq-queue-column", "aria-label": "Queues", tabindex: "-1" },
        exchanges.element,
        list,
        declare.element,
        more.element,
        why.element
      ),
      /** @param {Frame} frame */
      draw(frame) {
        exchanges.draw(frame);
        cards.draw(frame.queues);
        setHidden(list, frame.queues.length === 0);
        more.draw(andMore(frame.more_queues, "queue"));
        declare.draw(frame);
        why.draw(frame);
      }
    };
  }

  // workq_helpers/stage/js/replay_links.js
  var ADDRESS = "#workq-replay/";
  var ReplayLinks = class {
    /**
     * @param {Ui} ui
     * @param {Commands} commands
     * @param {HTMLElement} root
     */
    constructor(ui, commands, root) {
      this.ui = ui;
      this.commands = commands;
      this.root = root;
      this.follow = (event) => this.#follow(event);
    }
    connect() {
      this.ui.document.addEventListener("click", this.follow, true);
    }
    disconnect() {
      this.ui.document.removeEventListener("click", this.follow, true);
    }
    /** @param {MouseEvent} event */
    #follow(event) {
      const link = (
        /** @type {Element} */
        event.target.closest?.(`a[href^="${ADDRESS}"]`)
      );
      if (!link || event.defaultPrevented) return;
      const [lesson, experiment] = (
        /** @type {string} */
        link.getAttribute("href").slice(ADDRESS.length).split("/")
      );
      if (decodeURIComponent(lesson) !== this.ui.frame?.lesson) return;
      event.preventDefault();
      event.stopPropagation();
      this.commands.send({ do: "replay", experiment: decodeURIComponent(experiment) });
      this.root.scrollIntoView?.({ block: "nearest" });
    }
  };

  // workq_helpers/stage/js/save_fold.js
  function saveFold(ui) {
    const { h } = ui;
    const save = button(ui, "Save this run", "save_run", { title: "Write it as a file beside the notebook" });
    return h(
      "details",
      { class: "workq-save", "data-control": "details" },
      h("summary", {}, "Save"),
      h(
        "div",
        { class: "workq-save-body" },
        save,
        h(
          "p",
          { class: "workq-hint" },
          "All that the stage has shown of this lesson, as a page that plays in any browser."
        )
      )
    );
  }

  // workq_helpers/stage/js/summary.js
  var MOST_TOLD = 3;
  var PAUSE_SECONDS = 3;
  var Summary = class {
    /** @type {{summary: string, story: StoryLine[]}} */
    #newest = { summary: "", story: [] };
    /** @type {string | null} */
    #told = null;
    #toldNumber = 0;
    // the newest sentence's that was told
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
    tell(summary, story2) {
      this.#newest = { summary, story: story2 };
      if (summary === this.#told && this.#news().length === 0 || this.#timer !== null) return;
      const wait = PAUSE_SECONDS - (this.ui.now() - this.#toldAt);
      if (wait <= 0) this.#tellNewest();
      else this.#timer = this.ui.timers.after(wait, () => this.#tellNewest());
    }
    #news() {
      const { story: story2 } = this.#newest;
      const last = story2.at(-1)?.number ?? 0;
      if (last < this.#toldNumber) return story2.slice(-1);
      return story2.filter((line) => line.number > this.#toldNumber).slice(-MOST_TOLD);
    }
    #tellNewest() {
      this.#timer = null;
      const { summary, story: story2 } = this.#newest;
      const news = this.#news();
      if (summary === this.#told && news.length === 0) return;
      this.#told = summary;
      this.#toldNumber = story2.at(-1)?.number ?? 0;
      this.#toldAt = this.ui.now();
      setText(this.element, [...news.map((line) => `${line.text}.`), summary].join(" "));
    }
  };

  // workq_helpers/stage/js/chip.js
  var DOTS_DRAWN = 5;
  var PHASES = {
    dispatched: "handed to this worker, waits for its turn",
    working: "being worked on",
    finished: "worked on, not acknowledged"
  };
  var ChipView = class {
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
      const facts = `${message.task}|${place}|${message.persistent}|${message.dots}|${message.redelivered}|${message.deliveries}|${message.worked}|${message.back_from}|${word}`;
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
  };
  function keptAs({ persistent }) {
    if (persistent === null) return "";
    return persistent ? "persistent" : "transient";
  }
  function describe(message, place) {
    const facts = [isolated(message.task), keptAs(message), plural(message.dots, "dot"), PHASES[place] ?? ""];
    if (message.deliveries > 0) facts.push(`delivered ${message.deliveries}×`);
    if (message.worked > 0) facts.push(`worked on ${message.worked}×`);
    if (message.redelivered) facts.push("redelivered");
    if (message.back_from) facts.push(`came back from ${isolated(message.back_from)}`);
    return facts.filter((fact, index) => index === 0 || fact !== "").join(" · ");
  }

  // workq_helpers/stage/js/tables.js
  var QUEUE_HEADS = [
    "Queue",
    "Kind",
    "Ready (broker)",
    "Ready (log)",
    "Unacknowledged (broker)",
    "Unacknowledged (log)"
  ];
  var WORKER_HEADS = [
    "Worker",
    "State",
    "Takes from",
    "Acknowledgment",
    "Prefetch count",
    "Working on",
    "Holds",
    "Done"
  ];
  var LOST_HEADS = ["Task", "Kept", "Worked on"];
  function tables(ui) {
    const { h } = ui;
    const queues = table(ui, "Queues", QUEUE_HEADS);
    const workers = table(ui, "Workers", WORKER_HEADS);
    const lost = table(ui, "Lost tasks", LOST_HEADS);
    const noneLost = h("p", { class: "workq-hint" }, "No task is lost.");
    const element = h(
      "details",
      { class: "workq-table", "data-control": "details" },
      h("summary", {}, "Show as table"),
      // It scrolls where it is wider than the view: with the keyboard too.
      h(
        "div",
        { class: "workq-tables", tabindex: "0", role: "group", "aria-label": "Tables" },
        queues.element,
        workers.element,
        noneLost,
        lost.element
      )
    );
    return {
      element,
      /** @param {Frame} frame */
      draw(frame) {
        if (!element.open) return;
        queues.draw(frame.queues.map(queueRow));
        workers.draw(frame.workers.map(workerRow));
        const gone = frame.ends.lost.recent;
        lost.draw(gone.map(lostRow));
        setHidden(lost.element, gone.length === 0);
        setHidden(noneLost, gone.length > 0);
      }
    };
  }
  function table(ui, caption, heads) {
    const { h } = ui;
    const body = h("tbody");
    const head = h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)));
    const element = h("table", {}, h("caption", {}, caption), h("thead", {}, head), body);
    const rows = new KeyedList(
      body,
      (row) => row.key,
      (row) => tableRow(ui, row.cells.length)
    );
    return {
      element,
      /** @param {Row[]} items */
      draw: (items) => rows.draw(items)
    };
  }
  function tableRow({ h }, length) {
    const fields = [h("th", { scope: "row" }), ...Array.from({ length: length - 1 }, () => h("td"))];
    return {
      element: h("tr", {}, ...fields),
      /** @param {Row} row */
      draw({ cells }) {
        cells.forEach((text, index) => {
          setText(fields[index], text);
        });
      }
    };
  }
  function queueRow({ name, durability, type, gone, ready, unacknowledged }) {
    const kind = [durability, type, gone ? "gone" : ""].filter(Boolean).join(", ");
    const counts = [ready.broker, ready.log, unacknowledged.broker, unacknowledged.log];
    return { key: name, cells: [name, kind, ...counts.map(formatCount)] };
  }
  var worksOn = ({ state, busy_with }) => busy_with?.task ?? (state === "holding" ? "not seen" : "nothing");
  function workerRow(worker) {
    const { name, state, queue, ack, prefetch_count, slots, more, done } = worker;
    const limit = prefetch_count ? formatCount(prefetch_count) : "no limit";
    const held = formatCount(slots.length + more);
    return { key: name, cells: [name, state, queue, ack, limit, worksOn(worker), held, formatCount(done)] };
  }
  function lostRow(message) {
    return { key: message.key, cells: [message.task, keptAs(message), `${message.worked}×`] };
  }

  // workq_helpers/stage/js/chip_pool.js
  var MOST_SPARE = 100;
  var ChipPool = class {
    /** @type {ChipView[]} */
    #spare = [];
    /** @param {MakeElement} h */
    constructor(h) {
      this.h = h;
    }
    take() {
      return this.#spare.pop() ?? new ChipView(this.h);
    }
    /** @param {ChipView} chip */
    give(chip) {
      chip.land();
      chip.element.remove();
      if (this.#spare.length < MOST_SPARE) this.#spare.push(chip);
    }
  };

  // workq_helpers/stage/js/resizes.js
  var Resizes = class {
    /** @type {Map<Element, () => void>} */
    #acts = /* @__PURE__ */ new Map();
    /** @param {Window & typeof globalThis} window */
    constructor(window2) {
      this.observer = new window2.ResizeObserver((entries) => {
        for (const { target } of entries) this.#acts.get(target)?.();
      });
    }
    /**
     * @param {Element} element
     * @param {() => void} act
     */
    watch(element, act) {
      this.#acts.set(element, act);
      this.observer.observe(element);
    }
    stop() {
      this.observer.disconnect();
    }
  };

  // workq_helpers/stage/js/timers.js
  var Timers = class {
    /** @type {Set<number>} */
    #running = /* @__PURE__ */ new Set();
    /** @param {Window} window */
    constructor(window2) {
      this.window = window2;
    }
    /**
     * @param {number} seconds
     * @param {() => void} act
     */
    after(seconds, act) {
      const timer = this.window.setTimeout(() => {
        this.#running.delete(timer);
        act();
      }, seconds * 1e3);
      this.#running.add(timer);
      return timer;
    }
    /** @param {number | null | undefined} timer */
    cancel(timer) {
      if (timer === null || timer === void 0) return;
      this.window.clearTimeout(timer);
      this.#running.delete(timer);
    }
    cancelAll() {
      for (const timer of this.#running) this.cancel(timer);
    }
  };

  // workq_helpers/stage/js/ui.js
  var Ui = class {
    /** @type {Frame | null} The frame that is drawn. */
    frame = null;
    /** @type {"roomy" | "compact" | "crowd" | "mass"} How much room each worker gets. */
    density = "roomy";
    /** @type {Map<number, {chip: ChipView, place: string}>} Where each message is drawn, by its key. */
    places = /* @__PURE__ */ new Map();
    /** @type {EventTarget | null} What the pointer holds down. */
    pressed = null;
    /** @type {string | null} The queue that the learner chose for the forms. */
    chosenQueue = null;
    /** @param {HTMLElement} el Where the view lives. */
    constructor(el) {
      this.document = el.ownerDocument;
      this.window = /** @type {Window & typeof globalThis} */
      this.document.defaultView;
      this.h = elementMaker(this.document);
      this.timers = new Timers(this.window);
      this.resizes = new Resizes(this.window);
      this.buttons = new Buttons();
      this.chips = new ChipPool(this.h);
      this.reducedMotion = this.window.matchMedia("(prefers-reduced-motion: reduce)");
    }
    /** The time in seconds, on the page's clock. */
    now() {
      return this.window.performance.now() / 1e3;
    }
    /** The queue that the forms act on. */
    queue() {
      return this.chosenQueue ?? this.frame?.queue ?? "";
    }
    /**
     * Before an element goes: focus inside it moves on instead of getting lost.
     * @param {Element} element
     * @param {Element | null | undefined} heir
     */
    saveFocus(element, heir) {
      if (heir && element.contains(this.document.activeElement)) heir.focus();
    }
  };

  // workq_helpers/stage/js/add_worker_form.js
  function addWorkerForm(ui) {
    const { h } = ui;
    const ack = h(
      "select",
      {
        class: "workq-input",
        "data-field": "auto_ack",
        "aria-label": "Acknowledgment of the new worker",
        "data-control": "ack"
      },
      h("option", { value: "false" }, "manual ack"),
      h("option", { value: "true" }, "auto ack")
    );
    const prefetch = numberField(ui, "prefetch", "prefetch_count", "1", {
      max: "65535",
      title: "Prefetch count: how many unacknowledged messages it may hold; 0 is no limit"
    });
    setAttribute(prefetch.element, "data-control", "prefetch");
    const noLimit = h("span", { class: "workq-no-limit", "data-control": "prefetch" }, "0 = no limit");
    ack[ON_CHANGE] = () => setText(noLimit, ack.value === "true" ? "auto ack has no limit" : "0 = no limit");
    const add = button(ui, "Add worker", "add_worker", {
      command: () => ({ queue: ui.queue(), auto_ack: ack.value === "true", prefetch_count: prefetch.value() }),
      type: "submit",
      class: "workq-button workq-primary"
    });
    let introduced = null;
    return {
      element: form(ui, add, { class: "workq-add" }, add, ack, prefetch.element, noLimit),
      /** @param {Frame} frame */
      draw({ controls }) {
        const now = isIntroduced(controls, "prefetch");
        if (now !== introduced) prefetch.input.value = now ? "1" : "0";
        introduced = now;
      }
    };
  }

  // workq_helpers/stage/js/ending_card.js
  var EYE_SECONDS = 4;
  var EndingCard = class {
    /** @type {number | null} */
    #timer = null;
    /**
     * @param {Ui} ui
     * @param {HTMLElement} element
     */
    constructor(ui, element) {
      this.ui = ui;
      this.element = element;
    }
    /** The worker ends: called while the card is still drawn as that of one at work. */
    begin() {
      const mode = this.ui.frame?.playback.mode;
      if (mode === "paused") return;
      setStyle(this.element, "--workq-kept", `${this.element.offsetHeight}px`);
      setAttribute(this.element, "data-ending", true);
      this.ui.timers.cancel(this.#timer);
      this.#timer = this.ui.timers.after(EYE_SECONDS, () => this.over());
    }
    /** It has been seen, or the worker is not at its end in what is shown now. */
    over() {
      if (this.#timer === null) return;
      this.ui.timers.cancel(this.#timer);
      this.#timer = null;
      setAttribute(this.element, "data-ending", null);
      setStyle(this.element, "--workq-kept", "0px");
    }
  };

  // workq_helpers/stage/js/worker_actions.js
  function workerActions(ui, name) {
    let own = "";
    const command = () => ({ worker: own || name });
    const stop = button(ui, "Stop", "stop", {
      command,
      "aria-label": `Stop ${name}`,
      title: "It finishes the task in hand, then says goodbye"
    });
    const kill = button(ui, "Kill", "kill", {
      command,
      "aria-label": `Kill ${name}`,
      "data-danger": true,
      title: "Cut its connection, as in a crash"
    });
    const freeze = button(ui, "Freeze", "freeze", { command });
    const element = ui.h("div", { class: "workq-worker-actions" }, stop, kill, freeze);
    return {
      element,
      /**
       * @param {WorkerCard} worker
       * @param {boolean} ended
       */
      draw({ state, program }, ended) {
        setHidden(element, ended || program === "");
        setHidden(freeze, program !== null);
        if (program && own !== program) {
          own = program;
          setAttribute(stop, "title", "SIGTERM asks its process to end");
          setAttribute(kill, "title", "SIGKILL ends its process");
        }
        const frozen = state === "frozen";
        setText(freeze, frozen ? "Thaw" : "Freeze");
        setAttribute(freeze, "data-do", frozen ? "thaw" : "freeze");
        setAttribute(freeze, "aria-label", `${frozen ? "Thaw" : "Freeze"} ${name}`);
        setAttribute(freeze, "title", frozen ? "Let it go on" : "It hangs: connected, but its work stands still");
      }
    };
  }

  // workq_helpers/stage/js/worker_console.js
  function workerConsole(ui, name) {
    const { h } = ui;
    const text = h("div", { class: "workq-console-text" });
    const terminal = h(
      "div",
      { class: "workq-console", tabindex: "0", role: "group", "aria-label": `Console of ${name}` },
      text
    );
    const element = h("details", { class: "workq-console-box" }, h("summary", {}, "Console"), terminal);
    return {
      element,
      /**
       * @param {WorkerCard} worker
       * @param {boolean} ended
       */
      draw({ console }, ended) {
        setText(text, console.join("\n"));
        setHidden(element, console.length === 0 && ended);
      }
    };
  }

  // workq_helpers/stage/js/free_slots.js
  var MOST_DRAWN = 4;
  function freeSlots({ h }, parent) {
    const boxes = [];
    const moreCount = h("span");
    const more = h(
      "li",
      { class: "workq-slots-more", hidden: true },
      moreCount,
      h("span", { class: "workq-what" }, " more")
    );
    const rest = h("li", { class: "workq-slot-text", hidden: true });
    parent.append(more, rest);
    const keep = (wanted) => {
      for (const box of boxes.splice(wanted)) box.remove();
      while (boxes.length < wanted) {
        const box = h("li", { class: "workq-slot" });
        boxes.push(box);
        parent.insertBefore(box, rest);
      }
    };
    return {
      /**
       * @param {number | null} free
       * @param {number} undrawn
       * @param {boolean} ended
       */
      draw(free, undrawn, ended) {
        const drawn = free === null ? 1 : Math.min(free, MOST_DRAWN);
        keep(ended ? 0 : drawn);
        for (const box of boxes) {
          setAttribute(box, "data-open", free === null);
          setText(box, free === null ? "no limit" : "free");
        }
        setHidden(more, undrawn === 0);
        setText(moreCount, `+ ${formatCount(undrawn)}`);
        const undrawnFree = ended || free === null ? 0 : free - drawn;
        setHidden(rest, undrawnFree === 0);
        setText(rest, `+ ${formatCount(undrawnFree)} free`);
      }
    };
  }

  // workq_helpers/stage/js/work_bar.js
  var DRIFT_SECONDS = 0.35;
  var STILL_DRIFT_SECONDS = 0.01;
  var SHORTEST_RUN_SECONDS = 0.15;
  var LEAST_WORK_SECONDS = 1e-3;
  function workBar(ui) {
    const { h } = ui;
    const fill = h("span", { class: "workq-fill" });
    const track = h("span", { class: "workq-track", role: "img" }, fill);
    const label = h("span", { class: "workq-work-label" });
    const length = h("span", { class: "workq-work-seconds" });
    const element = h("div", { class: "workq-work", hidden: true }, label, track, length);
    let shown = null;
    let odd = false;
    const speed = () => ui.frame?.playback.speed ?? 1;
    const start = (work) => {
      const all = Math.max(work.work_seconds, LEAST_WORK_SECONDS);
      const left = (all - work.elapsed_seconds) / speed();
      const runs = work.running && left >= SHORTEST_RUN_SECONDS;
      const full = work.running && !runs && !ui.reducedMotion.matches;
      const part = Math.min(1, work.elapsed_seconds / all);
      setAttribute(element, "data-running", work.running ? "true" : "false");
      setStyle(fill, "--workq-part", full ? "1" : part.toFixed(3));
      if (runs) {
        setStyle(fill, "--workq-left", `${left.toFixed(2)}s`);
        odd = !odd;
      }
      setAttribute(fill, "data-run", runs ? odd ? "a" : "b" : null);
    };
    return {
      element,
      /**
       * @param {Work | null} work
       * @param {Slot[]} held
       */
      draw(work, held) {
        setHidden(element, work === null);
        if (work === null) {
          shown = null;
          return;
        }
        const inSlots = held.some((message) => message.key === work.key);
        setText(label, inSlots ? "" : `working on ${isolated(work.task)}${work.settled ? " (settled already)" : ""}`);
        setHidden(label, inSlots);
        setText(length, formatSeconds(work.work_seconds));
        setAttribute(track, "aria-label", `working on ${work.task}, ${formatSeconds(work.work_seconds)} of work`);
        const at2 = ui.now();
        if (shown !== null && !ui.reducedMotion.matches && isOnTime(shown, work, at2, speed())) return;
        shown = { work, at: at2, speed: speed() };
        start(work);
      }
    };
  }
  function isOnTime({ work: old, at: at2, speed: oldSpeed }, work, now, speed) {
    if (oldSpeed !== speed) return false;
    if (old.key !== work.key || old.running !== work.running || old.work_seconds !== work.work_seconds) return false;
    const expected = old.elapsed_seconds + (old.running ? (now - at2) * speed : 0);
    return Math.abs(expected - work.elapsed_seconds) < (old.running ? DRIFT_SECONDS : STILL_DRIFT_SECONDS);
  }

  // workq_helpers/stage/js/worker_hands.js
  var CROWD_SLOTS = 1;
  function hands(ui, name) {
    const { h } = ui;
    const bar = workBar(ui);
    const slots = h("ol", { class: "workq-slots", "aria-label": `What ${name} holds` });
    const chips = new ChipList(ui, slots, `worker ${name}`);
    const free = freeSlots(ui, slots);
    const note = h("p", { class: "workq-note" });
    const element = h("div", { class: "workq-hands" }, bar.element, slots, note);
    return {
      element,
      clear: () => chips.clear(),
      /**
       * @param {WorkerCard} worker
       * @param {boolean} ended
       */
      draw(worker, ended) {
        const held = [...worker.slots].sort((a, b) => Number(isWorkedOn(b)) - Number(isWorkedOn(a)));
        const inWork = held.length > 0 && isWorkedOn(held[0]) ? 1 : 0;
        const most = { roomy: held.length, compact: held.length, crowd: CROWD_SLOTS + inWork, mass: 1 }[ui.density];
        const words = {
          working: worker.state === "frozen" ? "hangs" : "working",
          finished: "no ack yet",
          dispatched: ""
        };
        chips.draw(
          held.slice(0, most),
          (message) => message.phase,
          (message) => words[message.phase]
        );
        bar.draw(worker.busy_with, held);
        free.draw(worker.free, worker.more + Math.max(0, held.length - most), ended);
        setText(note, ended ? "" : noteOn(worker));
        setAttribute(element, "data-empty", held.length === 0 && worker.busy_with === null);
      }
    };
  }
  var isWorkedOn = (message) => message.phase === "working";
  function noteOn({ slots, more, state, ack, program }) {
    const waiting = slots.filter((message) => message.phase === "dispatched").length + more;
    const finished = slots.filter((message) => message.phase === "finished").length;
    const seen = program === null && (more === 0 || slots.at(-1)?.phase === "dispatched");
    const said = [];
    if (state === "frozen" && slots.length > 0) said.push("Hangs, and keeps what it holds.");
    if (state === "reconnecting") said.push("Lost its connection and tries again.");
    if (waiting > 0) said.push(seen ? noteOnWaiting(waiting, ack) : noteOnHeld(slots.length + more));
    if (finished > 0 && seen) said.push(`${formatCount(finished)} finished, not acknowledged.`);
    return said.join(" ");
  }
  function noteOnHeld(held) {
    return `${formatCount(held)} ${held === 1 ? "is" : "are"} not acknowledged: no other worker gets ${held === 1 ? "it" : "them"}.`;
  }
  function noteOnWaiting(waiting, ack) {
    const wait = `${formatCount(waiting)} ${waiting === 1 ? "waits" : "wait"} here`;
    if (ack === "auto") return `${wait}, settled already: lost if it dies.`;
    return `${wait}: no other worker gets ${waiting === 1 ? "it" : "them"}.`;
  }

  // workq_helpers/stage/js/worker_card.js
  var WorkerCardView = class {
    /** @type {boolean | null} */
    #ended = null;
    /**
     * @param {Ui} ui
     * @param {string} name
     */
    constructor(ui, name) {
      const { h } = ui;
      this.ui = ui;
      this.name = name;
      this.icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
      this.word = h("span");
      this.state = h("span", { class: "workq-state" }, this.icon, this.word);
      this.done = h("span", { "data-count": "done" });
      this.settings = h("span", { class: "workq-settings" });
      this.room = h("span", { class: "workq-room" });
      this.dropped = h("p", { class: "workq-dropped", hidden: true });
      this.hands = hands(ui, name);
      this.actions = workerActions(ui, name);
      this.console = workerConsole(ui, name);
      this.element = h(
        "article",
        { class: "workq-worker", "data-worker": name, tabindex: "-1" },
        h(
          "div",
          { class: "workq-worker-head" },
          h("span", { class: "workq-name", title: name }, name),
          this.state,
          h("span", { class: "workq-done" }, "done ", this.done)
        ),
        this.room,
        this.hands.element,
        h("div", { class: "workq-worker-foot" }, this.settings, this.actions.element),
        this.dropped,
        this.console.element
      );
      this.ending = new EndingCard(ui, this.element);
    }
    clear() {
      this.hands.clear();
    }
    /** @param {WorkerCard} worker */
    draw(worker) {
      const ended = hasEnded(worker);
      if (ended && this.#ended === false) {
        this.ui.saveFocus(this.actions.element, this.element);
        this.ending.begin();
      }
      if (!ended) this.ending.over();
      this.#ended = ended;
      this.#drawHead(worker, ended);
      this.hands.draw(worker, ended);
      this.actions.draw(worker, ended);
      this.console.draw(worker, ended);
    }
    /**
     * @param {WorkerCard} worker
     * @param {boolean} ended
     */
    #drawHead(worker, ended) {
      setAttribute(this.element, "data-state", worker.state);
      setAttribute(this.element, "aria-label", takesItself(worker) ? this.name : `${this.name}, ${worker.state}`);
      setHidden(this.state, takesItself(worker));
      setAttribute(this.element, "data-ended", ended);
      setText(this.icon, STATE_ICONS[worker.state]);
      setText(this.word, worker.state);
      setText(this.done, formatCount(worker.done));
      const settings = settingsOf(
        worker,
        /** @type {Frame} */
        this.ui.frame
      );
      setText(this.settings, settings);
      setAttribute(this.settings, "title", settings);
      const free = worker.free === null ? "no limit" : `${formatCount(worker.free)} free`;
      setText(this.room, ended ? "" : free);
      setText(this.dropped, worker.dropped);
      setHidden(this.dropped, worker.dropped === "");
    }
  };
  var takesItself = ({ program, queue }) => program === "" && queue === "";
  function settingsOf(worker, frame) {
    if (takesItself(worker)) return "taken by its own code";
    const { ack, prefetch_count, queue } = worker;
    const settings = [`${ack} ack`, prefetch_count ? `prefetch ${prefetch_count}` : "no limit"];
    if (frame.queues.length > 1 || frame.more_queues > 0) settings.push(`from ${isolated(queue)}`);
    return settings.join(" · ");
  }

  // workq_helpers/stage/js/worker_column.js
  function invitation({ queues, publishers, controls }) {
    if (controls.includes("player")) return "No worker yet.";
    const waiting = queues.reduce((sum, queue) => sum + queue.ready.log, 0);
    if (waiting > 0) return "No worker yet. Press “Add worker”, and it takes what waits in the queue.";
    if (publishers.published > 0) return "No worker yet. Press “Add worker”, and it takes the next task that is sent.";
    return "Nothing has happened yet. Press “Send”: a task goes into the queue. Then press “Add worker”: it takes the task.";
  }
  var WorkerColumn = class {
    /** @param {Ui} ui */
    constructor(ui) {
      const { h } = ui;
      this.why = reasons(ui, ["add_worker", "stop", "kill", "freeze", "thaw"]);
      this.count = h("span", { class: "workq-workers-count" });
      this.none = h("p", { class: "workq-empty" });
      this.add = addWorkerForm(ui);
      this.more = hint(ui);
      const list = h("div", { class: "workq-workers" });
      this.element = h(
        "section",
        { role: "group", class: "workq-column workq-worker-column", "aria-label": "Workers", tabindex: "-1" },
        h(
          "div",
          { class: "workq-worker-top" },
          heading(ui, "C", "Workers", this.count),
          this.add.element,
          this.why.element
        ),
        this.none,
        list,
        this.more.element
      );
      this.cards = new KeyedList(
        list,
        (worker) => worker.name,
        (worker) => new WorkerCardView(ui, worker.name),
        (card) => {
          card.clear();
          ui.saveFocus(card.element, this.element);
          ui.buttons.forget(card.element);
        }
      );
    }
    /** @param {Frame} frame */
    draw(frame) {
      const { workers, more_workers } = frame;
      this.cards.draw(workers);
      this.#drawLine(workers);
      setHidden(this.none, workers.length > 0);
      setText(this.none, invitation(frame));
      this.more.draw(andMore(more_workers, "worker"));
      const consumers = workers.filter((worker) => worker.queue);
      const running = formatCount(consumers.filter((worker) => !hasEnded(worker)).length);
      setText(this.count, workers.length > 0 ? `${running}${more_workers ? "+" : ""} running` : "");
      this.add.draw(frame);
      this.why.draw(frame);
    }
    /**
     * The line from the queue to the last worker that may get something from it.
     * @param {WorkerCard[]} workers
     */
    #drawLine(workers) {
      const last = workers.findLastIndex((worker) => !hasEnded(worker));
      workers.forEach((worker, index) => {
        const line = index < last ? "on" : index === last && "last";
        setAttribute(
          /** @type {WorkerCardView} */
          this.cards.parts.get(worker.name).element,
          "data-line",
          line
        );
      });
      setAttribute(this.element, "data-line", last >= 0);
    }
  };

  // workq_helpers/stage/js/view.js
  var View = class {
    /**
     * @param {Model} model
     * @param {HTMLElement} el
     */
    constructor(model, el) {
      this.model = model;
      this.ui = new Ui(el);
      this.notices = new NoticeList(this.ui);
      this.python = new PythonPanel(this.ui);
      this.commands = new Commands(this.ui, model, this.notices, this.python);
      this.broker = brokerBar(this.ui);
      this.playback = playbackBar(this.ui, this.commands);
      this.story = story(this.ui);
      this.nodes = nodeStrip(this.ui);
      this.publisher = publisherColumn(this.ui);
      this.queues = queueColumn(this.ui);
      this.workers = new WorkerColumn(this.ui);
      this.ends = endColumn(this.ui);
      this.tables = tables(this.ui);
      this.summary = new Summary(this.ui);
      this.flights = new Flights(this.ui);
      this.controls = introducedControls(this.ui, () => this.root);
      this.body = this.#makeBody();
      this.root = this.#makeRoot();
      this.place = new Place(this.ui, el, this.root);
      this.overlay = new Overlay(this.ui, this.root, this.body);
      this.liveness = new Liveness(this.ui, () => this.#drawOverlay());
      this.frames = new FrameLoop(
        this.ui.window,
        (frame) => this.#draw(frame),
        (error) => this.failed(error)
      );
      this.gestures = new Gestures(this);
      this.replayLinks = new ReplayLinks(this.ui, this.commands, this.root);
      this.modelEvents = this.#makeModelEvents();
    }
    /**
     * What becomes of a frame that can't be drawn: Python sends none, and whoever plays a file says so.
     * @type {(error: unknown) => void}
     */
    failed = (error) => {
      throw error;
    };
    /**
     * @param {HTMLElement} el
     * @param {object | null} notebook JupyterLab's, where no cell has an output that the view could stand in.
     */
    open(el, notebook = null) {
      this.place.open(notebook);
      this.gestures.connect();
      this.replayLinks.connect();
      for (const [name, act] of this.modelEvents) this.model.on(name, act);
      this.#takeFrame();
      if (el.closest(".jupyter-widgets-disconnected")) this.liveness.lost();
    }
    close() {
      for (const [name, act] of this.modelEvents) this.model.off(name, act);
      this.gestures.disconnect();
      this.replayLinks.disconnect();
      this.frames.stop();
      this.place.close();
      this.ui.timers.cancelAll();
      this.ui.resizes.stop();
    }
    #makeBody() {
      const { h } = this.ui;
      return h(
        "fieldset",
        { class: "workq-body", "aria-label": "RabbitMQ stage" },
        this.broker.element,
        this.playback.element,
        this.story.element,
        this.notices.element,
        this.nodes.element,
        h(
          "div",
          { class: "workq-picture" },
          h("div", { class: "workq-side" }, this.publisher.element, this.queues.element),
          h("div", { class: "workq-side" }, this.workers.element, this.ends.element)
        ),
        h(
          "div",
          { class: "workq-folds" },
          this.python.element,
          legend(this.ui),
          this.tables.element,
          saveFold(this.ui),
          this.controls.element
        )
      );
    }
    #makeRoot() {
      return this.ui.h(
        "div",
        { class: "workq-stage", "data-lm-suppress-shortcuts": "true", "data-alive": "true", "data-mode": "live" },
        this.body,
        this.summary.element
      );
    }
    /** @returns {[string, (...values: any[]) => void][]} */
    #makeModelEvents() {
      const lost = () => this.liveness.lost();
      return [
        ["change:frame", () => this.#takeFrame()],
        ["msg:custom", (message) => this.commands.answer(message)],
        ["comm:close", lost],
        ["destroy", lost],
        ["comm_live_update", lost]
      ];
    }
    #takeFrame() {
      const frame = this.model.get("frame");
      if (frame?.number === void 0) return;
      this.frames.show(
        /** @type {Frame} */
        frame
      );
      this.liveness.heard();
    }
    /** @param {Frame} frame */
    #draw(frame) {
      const { ui, root } = this;
      this.flights.note(frame);
      ui.frame = frame;
      ui.places.clear();
      ui.density = densityOf(frame.workers);
      setAttribute(root, "data-density", ui.density);
      setAttribute(root, "data-many", ui.density === "crowd" || ui.density === "mass");
      setAttribute(root, "data-mode", frame.playback.mode);
      setAttribute(root, "data-nodes-alone", nodesAreAll(frame) ? "true" : null);
      setAttribute(root, "data-during", frame.during ? "true" : null);
      for (const part of this.#parts()) part.draw(frame);
      ui.buttons.draw(frame);
      this.commands.drawn();
      this.flights.start();
      this.summary.tell(frame.summary, frame.story);
      setAttribute(root, "data-number", frame.number);
      this.#drawOverlay();
    }
    /** @returns {Part[]} */
    #parts() {
      const bars = [this.controls, this.broker, this.playback, this.story, this.notices, this.python];
      return [...bars, this.nodes, this.publisher, this.queues, this.workers, this.ends, this.tables];
    }
    #drawOverlay() {
      this.overlay.draw(this.ui.frame?.closed || this.liveness.reason);
    }
  };

  // workq_helpers/stage/js/player/run.js
  var FORMAT = "workq-run";
  var VERSION = 1;
  var RunError = class extends Error {
  };
  function isMoment(row, index, rows) {
    if (!Array.isArray(row) || !Number.isFinite(row[0]) || !Number.isInteger(row[1])) return false;
    const before = (
      /** @type {number[] | undefined} */
      rows[index - 1] ?? [0, 0]
    );
    return row[0] >= before[0] && row[1] >= before[1];
  }
  var Run = class _Run {
    /** @type {RunFile} */
    #file;
    /** @param {RunFile} file */
    constructor(file) {
      this.#file = file;
    }
    /**
     * Returns the run that a text holds.
     * @param {string} text
     */
    static parse(text) {
      let file;
      try {
        file = JSON.parse(text);
      } catch {
        throw new RunError("This is no saved run: it is not JSON.");
      }
      if (file?.format !== FORMAT) throw new RunError(`This is no saved run: it does not say "${FORMAT}".`);
      if (file.version !== VERSION)
        throw new RunError(`This run is of version ${file.version} of its format, and this player knows ${VERSION}.`);
      const lists = [file.fields, file.parts, file.moments, file.marks];
      if (!lists.every(Array.isArray) || file.moments.length === 0 || !file.moments.every(isMoment))
        throw new RunError("This run is not whole. Get the file once more.");
      return new _Run(file);
    }
    get file() {
      return this.#file;
    }
    /** How many moments there are. */
    get length() {
      return this.#file.moments.length;
    }
    get endSeconds() {
      return this.seconds(this.length - 1);
    }
    /** @param {number} index */
    seconds(index) {
      return this.#file.moments[index][0];
    }
    /** @param {number} index */
    events(index) {
      return this.#file.moments[index][1];
    }
    /**
     * What was shown at a moment, as a value of its own.
     * @param {number} index
     * @returns {Recorded}
     */
    shown(index) {
      const [, , ...references] = this.#file.moments[index];
      const fields = this.#file.fields.map((field, position) => [
        field,
        this.#part(
          /** @type {Reference} */
          references[position]
        )
      ]);
      return { cluster: null, resting: [], ...Object.fromEntries(fields) };
    }
    /**
     * Whether some worker is at work at a moment.
     * @param {number} index
     */
    works(index) {
      return this.shown(index).workers.some((worker) => worker.busy_with?.running);
    }
    /**
     * The last moment that has come by then.
     * @param {number} seconds
     */
    indexAt(seconds) {
      return this.#last((index) => this.seconds(index) <= seconds);
    }
    /**
     * The last moment with no more events than these.
     * @param {number} events
     */
    indexOf(events) {
      return this.#last((index) => this.events(index) <= events);
    }
    /**
     * The last moment for which something holds that holds for all those before; the first, where it holds for none.
     * @param {(index: number) => boolean} holds
     */
    #last(holds) {
      let low = 0;
      let high = this.length - 1;
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (holds(middle)) low = middle;
        else high = middle - 1;
      }
      return low;
    }
    /**
     * @param {Reference} reference
     * @returns {unknown}
     */
    #part(reference) {
      const { parts } = this.#file;
      if (typeof reference === "number") return parts[reference];
      if (Array.isArray(reference)) return reference.map((place) => parts[place]);
      return Object.fromEntries(Object.entries(reference).map(([name, place]) => [name, parts[place]]));
    }
  };

  // workq_helpers/stage/js/player/moment.js
  function frameOf(run, position, number, speed = 1) {
    const { broker_state, ...shown } = run.shown(position.index);
    const later = position.seconds - run.seconds(position.index);
    return {
      ...shown,
      workers: shown.workers.map((worker) => at(worker, later, position.mode === "replaying")),
      number,
      lesson: run.file.lesson,
      closed: "",
      during: "",
      controls: ["player", "details"],
      playback: playbackOf(run, position, speed),
      broker: {
        name: `RabbitMQ ${run.file.rabbitmq}`,
        found: `recorded on ${run.file.recorded}`,
        state: broker_state,
        steerable: false,
        why_not: ""
      },
      actions: {},
      queue: "",
      python: [],
      notices: []
    };
  }
  function playbackOf(run, { mode, seconds, index }, speed) {
    const begin = run.seconds(0);
    return {
      mode,
      speed,
      seconds: Math.round((seconds - begin) * 1e3) / 1e3,
      end_seconds: Math.round((run.endSeconds - begin) * 1e3) / 1e3,
      event: run.events(index),
      events: run.events(run.length - 1),
      caption: "",
      marks: run.file.marks.map((mark) => ({ ...mark, seconds: mark.seconds - begin }))
    };
  }
  function at(worker, later, running) {
    const work = worker.busy_with;
    if (work === null) return worker;
    const gone = work.elapsed_seconds + (work.running ? later : 0);
    return {
      ...worker,
      busy_with: { ...work, elapsed_seconds: Math.round(gone * 1e3) / 1e3, running: work.running && running }
    };
  }

  // workq_helpers/stage/js/player/playhead.js
  var LONGEST_PAUSE_SECONDS = 2;
  var LEAD_SECONDS = 0.5;
  var Playhead = class {
    /** @type {"paused" | "replaying"} */
    #mode = "paused";
    #seconds;
    #index;
    #began = 0;
    #speed = 1;
    /**
     * @param {Run} run
     * @param {() => number} now Tells the time, in seconds.
     */
    constructor(run, now) {
      this.run = run;
      this.now = now;
      this.#index = 0;
      this.#seconds = run.seconds(0);
    }
    get speed() {
      return this.#speed;
    }
    /** @returns {Position} Where it is now; a replay ends with the run. */
    position() {
      const { run } = this;
      if (this.#mode === "replaying") {
        const seconds = this.#seconds + (this.now() - this.#began) * this.#speed;
        if (seconds < run.endSeconds) return { mode: "replaying", ...this.#withoutPause(seconds) };
        this.#hold(run.endSeconds, run.length - 1);
      }
      return { mode: this.#mode, seconds: this.#seconds, index: this.#index };
    }
    /**
     * Passes over a time in which nothing went on and nothing came.
     * @param {number} seconds
     */
    #withoutPause(seconds) {
      const { run } = this;
      const index = run.indexAt(seconds);
      const next = run.seconds(Math.min(index + 1, run.length - 1));
      if (next - run.seconds(index) <= LONGEST_PAUSE_SECONDS || seconds >= next - LEAD_SECONDS || run.works(index))
        return { seconds, index };
      this.#seconds = next - LEAD_SECONDS;
      this.#began = this.now();
      return { seconds: this.#seconds, index };
    }
    pause() {
      const { seconds, index } = this.position();
      this.#hold(seconds, index);
    }
    /**
     * Plays from here; from the beginning, where this is the end.
     * @param {number} speed How many seconds of the run pass in one.
     */
    play(speed = 1) {
      const { mode, seconds, index } = this.position();
      const atEnd = mode === "paused" && index === this.run.length - 1;
      this.#seconds = atEnd ? this.run.seconds(0) : seconds;
      this.#began = this.now();
      this.#speed = speed;
      this.#mode = "replaying";
    }
    /** @param {number} seconds */
    seek(seconds) {
      const held = Math.min(Math.max(seconds, this.run.seconds(0)), this.run.endSeconds);
      this.#hold(held, this.run.indexAt(held));
    }
    /** @param {number} by How many events further on, or back where it is negative. */
    step(by) {
      const { index } = this.position();
      const { run } = this;
      const wanted = run.indexOf(run.events(index) + by);
      const next = wanted === index && by > 0 ? index + 1 : wanted;
      const held = Math.min(Math.max(next, 0), run.length - 1);
      this.#hold(run.seconds(held), held);
    }
    /**
     * @param {number} seconds
     * @param {number} index
     */
    #hold(seconds, index) {
      this.#mode = "paused";
      this.#seconds = seconds;
      this.#index = index;
    }
  };

  // workq_helpers/stage/js/player/run_model.js
  var FRAME_SECONDS = 0.1;
  var HEARTBEAT_SECONDS = 2;
  var RunModel = class {
    /** @type {{name: string, act: (...values: never[]) => void}[]} */
    #listeners = [];
    /** @type {number | undefined} */
    #timer;
    #number = 0;
    /** @type {() => void} Called when a moment of the run can't be shown. */
    failed = () => {
    };
    /**
     * @param {Run} run
     * @param {Window} window
     */
    constructor(run, window2) {
      this.run = run;
      this.window = window2;
      this.playhead = new Playhead(run, () => window2.performance.now() / 1e3);
      this.#draw();
    }
    /** @param {string} name */
    get(name) {
      return name === "frame" ? this.frame : void 0;
    }
    /**
     * @param {string} name
     * @param {(...values: never[]) => void} act
     */
    on(name, act) {
      this.#listeners.push({ name, act });
      this.#timer ??= this.window.setTimeout(() => this.#tick(), FRAME_SECONDS * 1e3);
    }
    /**
     * @param {string} name
     * @param {(...values: never[]) => void} act
     */
    off(name, act) {
      this.#listeners = this.#listeners.filter((one) => one.name !== name || one.act !== act);
      if (this.#listeners.length > 0) return;
      this.window.clearTimeout(this.#timer);
      this.#timer = void 0;
    }
    /** @param {unknown} message */
    send(message) {
      const command = (
        /** @type {Command} */
        message
      );
      this.#obey(command);
      this.#tell("msg:custom", { id: command.id, taken: true, ok: true });
      if (this.#drawOrFail()) this.#tick();
    }
    /** @param {Command} command */
    #obey(command) {
      const { playhead } = this;
      if (command.do === "play") playhead.play(Number(command.speed ?? 1));
      else if (command.do === "pause") playhead.pause();
      else if (command.do === "live") playhead.seek(this.run.endSeconds);
      else if (command.do === "seek") playhead.seek(Number(command.seconds) + this.run.seconds(0));
      else if (command.do === "step") playhead.step(Number(command.by));
    }
    #tick() {
      this.window.clearTimeout(this.#timer);
      this.#timer = void 0;
      if (this.#listeners.length === 0) return;
      if (!this.#drawOrFail()) return;
      const wait = this.playhead.position().mode === "replaying" ? FRAME_SECONDS : HEARTBEAT_SECONDS;
      this.#timer = this.window.setTimeout(() => this.#tick(), wait * 1e3);
    }
    #drawOrFail() {
      try {
        this.#draw();
        return true;
      } catch {
        this.failed();
        return false;
      }
    }
    #draw() {
      this.#number += 1;
      this.frame = frameOf(this.run, this.playhead.position(), this.#number, this.playhead.speed);
      this.#tell("change:frame");
    }
    /**
     * @param {string} name
     * @param {unknown[]} values
     */
    #tell(name, ...values) {
      for (const one of [...this.#listeners]) if (one.name === name) one.act(.../** @type {never[]} */
      values);
    }
  };

  // workq_helpers/stage/js/player/unpack.js
  var MOST_CHARACTERS = 2e8;
  async function unpack(packed) {
    try {
      const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return await readAll(stream.getReader());
    } catch (error) {
      if (error instanceof RunError) throw error;
      throw new RunError("This run is not whole: it can't be unpacked. Get the file once more.");
    }
  }
  async function readAll(reader) {
    const decoder = new TextDecoder();
    let text = "";
    for (; ; ) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
      if (text.length > MOST_CHARACTERS) throw new RunError("This run is larger than any that can be played.");
    }
  }

  // workq_helpers/stage/js/player/play.js
  var NOT_PLAYED = "This run can't be played here.";
  var Player = class {
    /**
     * @param {RunModel} model
     * @param {HTMLElement} el
     */
    constructor(model, el) {
      this.model = model;
      this.view = new View(model, el);
      this.view.root.setAttribute("data-recorded", "true");
      this.view.place.panel = void 0;
      this.view.failed = this.model.failed = () => this.#giveUp(el);
      this.view.open(el);
    }
    /** @param {number} seconds Since the run's beginning. */
    seek(seconds) {
      this.model.send({ do: "seek", seconds });
    }
    play() {
      this.model.send({ do: "play" });
    }
    close() {
      this.view.close();
    }
    /**
     * Says so in place of the stage, where a moment of the run is not what a stage can show.
     * @param {HTMLElement} el
     */
    #giveUp(el) {
      this.close();
      tell(el, NOT_PLAYED);
    }
  };
  async function show(el, packed, atSeconds = null) {
    const window2 = (
      /** @type {Window} */
      el.ownerDocument.defaultView
    );
    try {
      const model = new RunModel(Run.parse(await unpack(packed)), window2);
      if (atSeconds !== null) model.send({ do: "seek", seconds: atSeconds });
      return new Player(model, el);
    } catch (error) {
      tell(el, error instanceof RunError ? error.message : NOT_PLAYED);
      return void 0;
    }
  }
  function tell(el, text) {
    const paragraph = el.ownerDocument.createElement("p");
    paragraph.setAttribute("role", "alert");
    paragraph.textContent = text;
    el.append(paragraph);
  }

  // docs/site/js/players.js
  var NEAR = "400px";
  var Players = class {
    /** @type {Map<Element, Promise<Player | undefined>>} */
    #opened = /* @__PURE__ */ new Map();
    /** @param {Element} stage */
    open(stage) {
      const known = this.#opened.get(stage);
      if (known) return known;
      const place = (
        /** @type {HTMLElement} */
        stage.querySelector(".course-player")
      );
      const packed = stage.querySelector("script[data-workq-run]")?.textContent ?? "";
      const at2 = place.dataset.atSeconds;
      const opened = show(place, packed.trim(), at2 === void 0 ? null : Number(at2));
      this.#opened.set(stage, opened);
      return opened;
    }
    /**
     * Follows a link to a moment of a run.
     * @param {MouseEvent} event
     */
    async follow(event) {
      const link = (
        /** @type {Element} */
        event.target.closest?.("a[data-play-from]")
      );
      const stage = link && document.querySelector(
        /** @type {string} */
        link.getAttribute("href")
      );
      if (!stage) return;
      event.preventDefault();
      unfold(stage);
      stage.scrollIntoView({ block: "nearest" });
      const player = await this.open(stage);
      player?.seek(Number(
        /** @type {HTMLElement} */
        link.dataset.playFrom
      ));
      player?.play();
    }
  };
  function openPlayers() {
    const players = new Players();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const observer = new IntersectionObserver(
      async (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (!isIntersecting) continue;
          observer.unobserve(target);
          const player = await players.open(target);
          if (target.hasAttribute("data-autoplay") && !still) player?.play();
        }
      },
      { rootMargin: NEAR }
    );
    for (const stage of document.querySelectorAll(".course-stage")) observer.observe(stage);
    document.addEventListener("click", (event) => players.follow(event));
  }

  // docs/site/js/quiz.js
  function takeQuizAnswers() {
    for (
      const form2 of
      /** @type {NodeListOf<HTMLFormElement>} */
      document.querySelectorAll("form.course-question")
    ) {
      const button2 = (
        /** @type {HTMLButtonElement} */
        form2.querySelector("button")
      );
      button2.hidden = false;
      form2.addEventListener("submit", (event) => {
        event.preventDefault();
        tell2(form2);
      });
    }
  }
  function tell2(form2) {
    const status = (
      /** @type {HTMLElement} */
      form2.querySelector("[role=status]")
    );
    const chosen = (
      /** @type {HTMLInputElement | null} */
      form2.querySelector("input:checked")
    );
    const said = chosen && form2.querySelector(`[data-choice="${chosen.value}"]`);
    if (said) status.replaceChildren(...said.cloneNode(true).childNodes);
    else status.textContent = "Choose one first.";
  }

  // docs/site/js/scrolling.js
  function reachWhatScrolls() {
    new ResizeObserver(() => {
      const boxes = (
        /** @type {NodeListOf<HTMLElement>} */
        document.querySelectorAll("article :is(pre, .text_html, .table-wrapper)")
      );
      for (const box of [...boxes].filter((each) => each.scrollWidth > each.clientWidth)) box.tabIndex = 0;
    }).observe(document.body);
  }

  // docs/site/js/theme.js
  function followTheme() {
    const { body } = document;
    const follow = () => {
      const theme = body.dataset.theme ?? "auto";
      if (theme === "auto") body.removeAttribute("data-jp-theme-light");
      else body.setAttribute("data-jp-theme-light", String(theme === "light"));
    };
    new MutationObserver(follow).observe(body, { attributes: true, attributeFilter: ["data-theme"] });
    follow();
  }

  // docs/site/js/course.js
  followTheme();
  addUnfoldAll();
  openFoldOfTarget();
  takeAnswers();
  takeQuizAnswers();
  enlargePictures();
  openPlayers();
  reachWhatScrolls();
})();
