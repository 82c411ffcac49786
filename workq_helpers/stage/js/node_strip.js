// @ts-check

import { button } from "./buttons.js";
import { heading, reasons } from "./controls.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";

/** @import { Frame, NodeCard, QueueCopyLine } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * The nodes of the lesson's cluster side by side, with what each has of the queues; not there where there is none.
 * @param {Ui} ui
 */
export function nodeStrip(ui) {
  const { h } = ui;
  const list = h("ul", { class: "workq-node-list" });
  const cards = new KeyedList(
    list,
    (/** @type {NodeCard} */ node) => node.name,
    (node) => nodeCard(ui, node.name),
  );
  const why = reasons(ui, ["kill_node"]);
  const said = h("p", { class: "workq-nodes-said" });
  const element = h(
    "section",
    { role: "group", class: "workq-nodes", "aria-label": "Nodes", hidden: true },
    heading(ui, "N", "Nodes"),
    list,
    said,
    why.element,
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
    },
  };
}

/**
 * Whether there is nothing else to draw: the lesson sends to its cluster alone.
 * @param {Frame} frame
 */
export function nodesAreAll({ cluster, queues, workers, publishers }) {
  return cluster !== null && queues.length === 0 && workers.length === 0 && publishers.published === 0;
}

/**
 * @param {Ui} ui
 * @param {string} name
 */
function nodeCard(ui, name) {
  const { h } = ui;
  const state = h("span", { class: "workq-node-state" });
  const list = h("ul", { class: "workq-copies" });
  const copies = new KeyedList(
    list,
    (/** @type {QueueCopyLine} */ copy) => copy.queue,
    (copy) => copyLine(ui, copy.queue),
  );
  const deed = button(ui, "Kill", "kill_node", { command: () => ({ node: name }) });
  const element = h(
    "li",
    { class: "workq-node", "data-node": name },
    h("p", { class: "workq-node-head" }, h("span", { class: "workq-name", title: name }, name), " is ", state),
    list,
    deed,
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
    },
  };
}

/**
 * @param {Ui} ui
 * @param {string} queue
 */
function copyLine({ h }, queue) {
  const icon = h("span", { class: "workq-icon", "aria-hidden": "true" });
  const role = h("span");
  return {
    element: h("li", { class: "workq-node-copy" }, icon, " ", queue, ", ", role),
    /** @param {QueueCopyLine} copy */
    draw(copy) {
      setText(icon, copy.role === "follower" ? "○" : "●");
      setText(role, copy.role);
    },
  };
}
