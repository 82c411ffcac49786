// @ts-check

import { brokerBar } from "./broker_bar.js";
import { Commands } from "./commands.js";
import { densityOf } from "./density.js";
import { setAttribute } from "./dom.js";
import { endColumn } from "./end_column.js";
import { Flights } from "./flights.js";
import { FrameLoop } from "./frame_loop.js";
import { Gestures } from "./gestures.js";
import { introducedControls } from "./introduced.js";
import { legend } from "./legend.js";
import { Liveness } from "./liveness.js";
import { nodeStrip, nodesAreAll } from "./node_strip.js";
import { NoticeList } from "./notice_list.js";
import { Overlay } from "./overlay.js";
import { Place } from "./place.js";
import { playbackBar } from "./playback_bar.js";
import { publisherColumn } from "./publisher_column.js";
import { PythonPanel } from "./python_panel.js";
import { queueColumn } from "./queue_column.js";
import { ReplayLinks } from "./replay_links.js";
import { saveFold } from "./save_fold.js";
import { story } from "./story.js";
import { Summary } from "./summary.js";
import { tables } from "./tables.js";
import { Ui } from "./ui.js";
import { WorkerColumn } from "./worker_column.js";

/** @import { Frame } from "./frame.d.ts" */
/** @import { Answer, Model, Part } from "./types.d.ts" */

/** One view of a stage: its parts, and what connects them with Python's side. Several views may share one model. */
export class View {
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
      (error) => this.failed(error),
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
    if (el.closest(".jupyter-widgets-disconnected")) this.liveness.lost(); // reopened without its kernel
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
        h("div", { class: "workq-side" }, this.workers.element, this.ends.element),
      ),
      h(
        "div",
        { class: "workq-folds" },
        this.python.element,
        legend(this.ui),
        this.tables.element,
        saveFold(this.ui),
        this.controls.element,
      ),
    );
  }

  #makeRoot() {
    return this.ui.h(
      "div",
      { class: "workq-stage", "data-lm-suppress-shortcuts": "true", "data-alive": "true", "data-mode": "live" },
      this.body,
      this.summary.element,
    );
  }

  /** @returns {[string, (...values: any[]) => void][]} */
  #makeModelEvents() {
    const lost = () => this.liveness.lost();
    return [
      ["change:frame", () => this.#takeFrame()],
      ["msg:custom", (/** @type {Answer} */ message) => this.commands.answer(message)],
      ["comm:close", lost],
      ["destroy", lost],
      ["comm_live_update", lost],
    ];
  }

  #takeFrame() {
    const frame = this.model.get("frame");
    if (frame?.number === undefined) return; // Python has not drawn yet
    this.frames.show(/** @type {Frame} */ (frame));
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
}
