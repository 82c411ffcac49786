import assert from "node:assert/strict";
import { test } from "node:test";

import * as frames from "./frames.mjs";
import { openView } from "./view.mjs";

test("a cluster's nodes are told by word and shape, each with its copies", () => {
  const view = openView(frames.nodes());
  const cards = view.$$(".workq-node");
  assert.deepEqual(
    cards.map((node) => [node.dataset.node, node.dataset.state]),
    [
      ["node-1", "down"],
      ["node-2", "up"],
      ["node-3", "up"],
    ],
  );
  assert.match(cards[0].textContent, /node-1 is down.*○ orders, follower.*● classic_orders, the only copy/);
  assert.match(cards[2].textContent, /● orders, leader/);
  assert.equal(view.text(".workq-nodes-said"), "killed the leader's node · 103 orders confirmed");
});

test("a node that is up can be killed, one that is down started, unless the frame says why not", () => {
  const view = openView(frames.nodes());
  const button = (node) => view.$(`[data-node="${node}"] button`);
  assert.deepEqual(
    [button("node-1"), button("node-2")].map((one) => one.textContent),
    ["Start", "Kill"],
  );
  assert.equal(button("node-2").getAttribute("aria-label"), "Kill node-2");
  button("node-1").click();
  button("node-2").click();
  assert.deepEqual(view.model.take(), [
    { do: "start_node", node: "node-1" },
    { do: "kill_node", node: "node-2" },
  ]);
  const off = { enabled: false, why: "These nodes ran once." };
  view.show({ ...frames.nodes(), actions: { kill_node: off, start_node: off } });
  button("node-1").click();
  button("node-2").click();
  assert.deepEqual(view.model.take(), []);
  assert.equal(view.text(".workq-nodes .workq-why"), "These nodes ran once.");
});

test("where the nodes are all there is, nothing else takes room", () => {
  const view = openView(frames.nodes());
  assert.equal(view.$(".workq-stage").getAttribute("data-nodes-alone"), "true");
  view.show({ ...frames.tutorial(), number: 99 });
  assert.equal(view.$(".workq-stage").hasAttribute("data-nodes-alone"), false);
  assert.equal(view.$(".workq-nodes").hidden, true);
});
