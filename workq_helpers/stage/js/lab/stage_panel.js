// @ts-check

import { invitation } from "./invitation.js";

/** @import { Placed } from "../types.d.ts" */

const STYLE =
  "box-sizing: border-box; overflow: auto; padding: 0 8px; background: var(--jp-layout-color1); " +
  "scrollbar-gutter: stable;"; // what grows beyond the panel moves nothing aside

/** Notebook and stage are too narrow beside the list of files where JupyterLab has less. */
const ROOM_FOR_THREE_PIXELS = 1500;

/** @param {any} widget */
const isNotebook = (widget) => Boolean(widget?.context?.path && widget.content?.model?.cells);

/** @param {any} notebook */
const showsStage = (notebook) =>
  [...notebook.content.model.cells].some((cell) => /^lesson\.stage\b/m.test(cell.sharedModel.getSource()));

/** One for all notebooks: it shows the stage of the one that was used last. */
export class StagePanel {
  /** @type {Map<string, Placed[]>} The views of each notebook, by its id: the first one is shown. */
  #views = new Map();
  /** @type {Map<any, (notebook: object) => () => void>} What makes a view of a kernel's stage, by its document. */
  #offers = new Map();
  /** @type {Map<string, () => void>} What ends a view that was made of an offer, by the notebook's id. */
  #taken = new Map();
  /** @type {any} The panel itself, while it is open. */
  #widget = null;
  /** @type {any} The button in a notebook's toolbar, while it is needed. */
  #wayBack = null;
  /** @type {any} The notebook that was used last. */
  #notebook = null;
  #wanted = true; // until the learner closes it
  #ready = false; // once JupyterLab has put everything back where it was

  /**
   * @param {any} shell
   * @param {any} Widget Lumino's.
   * @param {Promise<unknown>} restored Kept when JupyterLab has put everything back where it was.
   */
  constructor(shell, Widget, restored) {
    this.shell = shell;
    this.Widget = Widget;
    restored.then(() => {
      this.#ready = true;
      shell.currentChanged.connect((/** @type {any} */ _, /** @type {any} */ { newValue }) => this.#use(newValue));
      this.#use(shell.currentWidget ?? this.#notebook);
    });
  }

  /** Whether it is there to be shown in. */
  get isOpen() {
    return this.#widget !== null;
  }

  /**
   * Whether a view in this place may be shown beside its notebook: the page must have one.
   * @param {Element} el
   */
  isBeside(el) {
    return this.#hasRoom() && this.#notebookOf(el) !== undefined;
  }

  /**
   * There is a stage in the kernel of a document. It is shown until a cell has an output with one.
   * @param {object} context
   * @param {(notebook: object) => () => void} open Makes a view of it, and returns what ends the view.
   */
  offer(context, open) {
    this.#offers.set(context, open);
    this.#draw();
  }

  /**
   * A view wants to be shown here.
   * @param {Placed} view
   */
  join(view) {
    /** @type {any} */
    const notebook = view.notebook ?? this.#notebookOf(view.el);
    if (notebook === undefined) return;
    if (!view.notebook) this.#forgetOffer(notebook);
    const views = this.#views.get(notebook.id) ?? this.#forget(notebook);
    if (!views.includes(view)) views.push(view);
    this.#notebook ??= notebook;
    if (this.#wanted && this.#ready) this.#open(notebook);
    this.#draw();
  }

  /** @param {Placed} view */
  leave(view) {
    for (const views of this.#views.values()) if (views.includes(view)) views.splice(views.indexOf(view), 1);
    this.#draw();
  }

  /**
   * Brings the panel back, with this view in it.
   * @param {Placed} view
   */
  show(view) {
    this.#wanted = true;
    this.leave(view);
    this.join(view);
    const views = this.#views.get(this.#notebookOf(view.el)?.id);
    views?.sort((a, b) => Number(b === view) - Number(a === view));
    this.#draw();
    this.shell.activateById(this.#widget.id);
  }

  /** @param {any} widget */
  #use(widget) {
    if (!isNotebook(widget) || !this.#hasRoom()) return;
    widget.context.ready.then(() => {
      if (widget.isDisposed || !(this.#views.has(widget.id) || showsStage(widget))) return;
      this.#notebook = widget;
      if (!this.#views.has(widget.id)) this.#forget(widget);
      if (this.#wanted) this.#open(widget);
      this.#draw();
    });
  }

  /**
   * A list for a notebook's views, which goes with the notebook.
   * @param {any} notebook
   * @returns {Placed[]}
   */
  #forget(notebook) {
    /** @type {Placed[]} */
    const views = [];
    this.#views.set(notebook.id, views);
    notebook.disposed.connect(() => {
      this.#forgetOffer(notebook);
      this.#views.delete(notebook.id);
      if (this.#notebook === notebook) this.#notebook = null;
      if (this.#views.size === 0) this.#widget?.dispose();
      else this.#draw();
    });
    return views;
  }

  /** @param {any} notebook */
  #open(notebook) {
    if (this.#widget !== null) return;
    const widget = new this.Widget();
    widget.id = "workq-stage-panel";
    widget.title.label = "Stage";
    widget.title.caption = "What RabbitMQ does, live";
    widget.title.closable = true;
    widget.node.style = STYLE;
    widget.onCloseRequest = () => {
      this.#wanted = false;
      widget.dispose();
    };
    widget.disposed.connect(() => {
      this.#widget = null;
      this.#draw();
    });
    this.#widget = widget;
    if (this.shell.node.clientWidth < ROOM_FOR_THREE_PIXELS) this.shell.collapseLeft();
    this.shell.add(widget, "main", { mode: "split-right", ref: notebook.id, activate: false });
    // JupyterLab saves, runs and restarts what was used last; that is to be the notebook still.
    this.shell._tracker?.remove(widget);
  }

  /**
   * A cell shows the stage now, or nobody will: what the page found in the kernel is not needed any more.
   * @param {any} notebook
   */
  #forgetOffer(notebook) {
    this.#offers.delete(notebook.context);
    const end = this.#taken.get(notebook.id);
    this.#taken.delete(notebook.id);
    end?.();
  }

  /** Makes a view of the stage that the kernel of the notebook at hand has, if no cell shows one. */
  #takeOffer() {
    const notebook = this.#notebook;
    const open = this.#offers.get(notebook?.context);
    if (!open || this.#views.get(notebook.id)?.length !== 0) return;
    this.#offers.delete(notebook.context);
    this.#taken.set(notebook.id, open(notebook));
  }

  /** Shows the first view of the notebook at hand, or what to do to have one. */
  #draw() {
    if (this.isOpen) this.#takeOffer();
    const shown = this.isOpen ? this.#views.get(this.#notebook?.id)?.[0] : undefined;
    const all = [...this.#views.values()].flat();
    for (const view of all) if (view !== shown) view.place(this.isOpen ? "away" : "cell");
    const nowhere = this.isOpen ? undefined : this.#views.get(this.#notebook?.id)?.find((view) => view.notebook);
    this.#offerWayBack(nowhere);
    if (!this.isOpen) return;
    const { node } = this.#widget;
    const content = shown?.root ?? invitation();
    if (node.firstChild !== content && (shown || !node.firstChild?.isInvitation)) node.replaceChildren(content);
    shown?.place("panel");
  }

  /**
   * Puts a button into the notebook's toolbar.
   * @param {any} view One that is nowhere to be seen: the panel is closed, and no cell has an output for it.
   */
  #offerWayBack(view) {
    this.#wayBack?.dispose();
    this.#wayBack = null;
    if (!view) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "workq-link";
    button.textContent = "Show the stage beside the notebook";
    button.addEventListener("click", () => this.show(view));
    this.#wayBack = new this.Widget();
    this.#wayBack.node.append(button);
    view.notebook.toolbar.addItem("workq-stage", this.#wayBack);
  }

  /** Whether two things are shown side by side: not in Jupyter Notebook, nor in JupyterLab's simple interface. */
  #hasRoom() {
    return this.shell.mode === "multiple-document";
  }

  /** @param {Element} el */
  #notebookOf(el) {
    return [...this.shell.widgets("main")].find((widget) => isNotebook(widget) && widget.node.contains(el));
  }
}
