// @ts-check
// JupyterLab's side of the course: a panel beside the notebook, in which the stage of the notebook at hand is shown, and
// the keys of the forms in lessons.
//
// JupyterLab loads the bundle of this as an extension. It looks for what webpack would wrap around one: the container
// at the end. The stage's views find the panel as `window.workqPanel`, see `place.js`; without it they stay in their
// cells, as in every other program that reads notebooks.
//
// Project Jupyter's `sidecar` opens a further panel each time a kernel is restarted, can't be opened again without
// running a cell, and shows nothing before the first one has run; so the course has a panel of its own.

import { keepFormKeys } from "./form_keys.js";
import { StagePanel } from "./stage_panel.js";

/** @type {any} */
const page = window;
/** @type {Record<string, Record<string, {get: () => Promise<() => any>}>>} What extensions share, by name and version. */
let shared = {};

const plugin = {
  id: "workq-stage:panel",
  description: "Shows the stage of a RabbitMQ lesson beside its notebook",
  autoStart: true,
  /** @param {any} app */
  activate: async (app) => {
    const [lumino] = Object.values(shared["@lumino/widgets"]);
    const { Widget } = (await lumino.get())();
    keepFormKeys(page);
    page.workqPanel = new StagePanel(app.shell, Widget, app.restored);
  },
};

page._JUPYTERLAB = page._JUPYTERLAB ?? {};
page._JUPYTERLAB["workq-stage"] = {
  /** @param {typeof shared} scope */
  init: (scope) => {
    shared = scope;
  },
  get: async () => () => ({ default: plugin, __esModule: true }),
};
