// Made by `make bundle` from the modules in workq_helpers/stage/js: change them, not this.
"use strict";
(() => {
  // workq_helpers/stage/js/lab/form_keys.js
  var FORM = ".workq-form";
  var GROUP = ".widget-radio-box";
  var KEYS = /* @__PURE__ */ new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Enter", " "]);
  var groups = 0;
  function keepFormKeys(page2) {
    page2.addEventListener("keydown", keepKey, { capture: true });
    page2.addEventListener("focusin", nameGroup);
  }
  function keepKey(event) {
    const focused = inForm(event, "*");
    if (!focused) return;
    const alone = !(event.shiftKey || event.ctrlKey || event.altKey || event.metaKey);
    if (alone && KEYS.has(event.key)) focused.setAttribute("data-lm-suppress-shortcuts", "true");
    else focused.removeAttribute("data-lm-suppress-shortcuts");
  }
  function nameGroup(event) {
    const buttons = [...inForm(event, GROUP)?.querySelectorAll("input") ?? []];
    if (buttons.every((button) => button.name)) return;
    groups += 1;
    for (const button of buttons) button.name = `workq-choices-${groups}`;
  }
  function inForm(event, selector) {
    const target = (
      /** @type {Partial<Element>} */
      event.target
    );
    return target.closest?.(FORM) && target.closest?.(selector);
  }

  // workq_helpers/stage/js/lab/invitation.js
  var INVITATION = [
    ["h3", "The stage"],
    ["p", "Here you see what RabbitMQ does: messages in their queues, workers at their tasks."],
    ["p", "Click the first cell of the notebook and press Shift+Enter, once for each cell."],
    ["p", "The stage begins with the cell that says lesson.stage."]
  ];
  var INVITATION_STYLE = "margin: 18vh auto; max-width: 380px; padding: 20px; text-align: center; border-radius: 8px; border: 1.5px dashed var(--jp-border-color0); color: var(--jp-ui-font-color1); font: 14px/1.5 var(--jp-ui-font-family);";
  function invitation() {
    const element = document.createElement("section");
    element.setAttribute("style", INVITATION_STYLE);
    element.append(...INVITATION.map(([tag, text]) => Object.assign(document.createElement(tag), { textContent: text })));
    return Object.assign(element, { isInvitation: true });
  }

  // workq_helpers/stage/js/lab/stage_panel.js
  var STYLE = "box-sizing: border-box; overflow: auto; padding: 0 8px; background: var(--jp-layout-color1); scrollbar-gutter: stable;";
  var ROOM_FOR_THREE_PIXELS = 1500;
  var isNotebook = (widget) => Boolean(widget?.context?.path && widget.content?.model?.cells);
  var showsStage = (notebook) => [...notebook.content.model.cells].some((cell) => /^lesson\.stage\b/m.test(cell.sharedModel.getSource()));
  var StagePanel = class {
    /** @type {Map<string, Placed[]>} The views of each notebook, by its id: the first one is shown. */
    #views = /* @__PURE__ */ new Map();
    /** @type {Map<any, (notebook: object) => () => void>} What makes a view of a kernel's stage, by its document. */
    #offers = /* @__PURE__ */ new Map();
    /** @type {Map<string, () => void>} What ends a view that was made of an offer, by the notebook's id. */
    #taken = /* @__PURE__ */ new Map();
    /** @type {any} The panel itself, while it is open. */
    #widget = null;
    /** @type {any} The button in a notebook's toolbar, while it is needed. */
    #wayBack = null;
    /** @type {any} The notebook that was used last. */
    #notebook = null;
    #wanted = true;
    // until the learner closes it
    #ready = false;
    // once JupyterLab has put everything back where it was
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
        shell.currentChanged.connect((_, { newValue }) => this.#use(newValue));
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
      return this.#hasRoom() && this.#notebookOf(el) !== void 0;
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
      const notebook = view.notebook ?? this.#notebookOf(view.el);
      if (notebook === void 0) return;
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
      const shown = this.isOpen ? this.#views.get(this.#notebook?.id)?.[0] : void 0;
      const all = [...this.#views.values()].flat();
      for (const view of all) if (view !== shown) view.place(this.isOpen ? "away" : "cell");
      const nowhere = this.isOpen ? void 0 : this.#views.get(this.#notebook?.id)?.find((view) => view.notebook);
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
  };

  // workq_helpers/stage/js/lab/extension.js
  var page = window;
  var shared = {};
  var plugin = {
    id: "workq-stage:panel",
    description: "Shows the stage of a RabbitMQ lesson beside its notebook",
    autoStart: true,
    /** @param {any} app */
    activate: async (app) => {
      const [lumino] = Object.values(shared["@lumino/widgets"]);
      const { Widget } = (await lumino.get())();
      keepFormKeys(page);
      page.workqPanel = new StagePanel(app.shell, Widget, app.restored);
    }
  };
  page._JUPYTERLAB = page._JUPYTERLAB ?? {};
  page._JUPYTERLAB["workq-stage"] = {
    /** @param {typeof shared} scope */
    init: (scope) => {
      shared = scope;
    },
    get: async () => () => ({ default: plugin, __esModule: true })
  };
})();
