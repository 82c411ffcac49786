// @ts-check

import { heading, hint } from "./controls.js";
import { setHidden, setText } from "./dom.js";
import { KeyedList } from "./keyed_list.js";
import { andMore, isolated } from "./words.js";

/** @import { BindingLine, ExchangeCard, Frame } from "./frame.d.ts" */
/** @import { Ui } from "./ui.js" */

/**
 * The exchanges besides the default one, with what each is bound to; not there as long as there is none.
 * @param {Ui} ui
 */
export function exchangeList(ui) {
  const list = ui.h("ul", { class: "workq-exchange-list" });
  const cards = new KeyedList(
    list,
    (/** @type {ExchangeCard} */ exchange) => exchange.name,
    (exchange) => exchangeCard(ui, exchange.name),
  );
  const more = hint(ui);
  const element = ui.h(
    "section",
    { role: "group", class: "workq-exchanges", "aria-label": "Exchanges", hidden: true },
    heading(ui, "X", "Exchanges"),
    list,
    more.element,
  );
  return {
    element,
    /** @param {Frame} frame */
    draw({ exchanges, more_exchanges }) {
      setHidden(element, exchanges.length === 0);
      cards.draw(exchanges);
      more.draw(andMore(more_exchanges, "exchange"));
    },
  };
}

/**
 * @param {Ui} ui
 * @param {string} name
 */
function exchangeCard(ui, name) {
  const { h } = ui;
  const type = h("span", { class: "workq-kind" });
  const none = h("p", { class: "workq-hint" }, "bound to nothing: RabbitMQ drops what is sent to it");
  const list = h("ul", { class: "workq-bindings", "aria-label": `Bindings of ${name}` });
  const lines = new KeyedList(
    list,
    (/** @type {BindingLine} */ binding) => `${binding.kind} ${binding.destination} ${binding.routing_key}`,
    () => bindingLine(ui),
  );
  const more = hint(ui);
  return {
    element: h(
      "li",
      { class: "workq-exchange", "data-exchange": name },
      h("p", { class: "workq-exchange-head" }, h("span", { class: "workq-name", title: name }, name), type),
      list,
      none,
      more.element,
    ),
    /** @param {ExchangeCard} exchange */
    draw(exchange) {
      setText(type, exchange.type);
      lines.draw(exchange.bindings);
      setHidden(none, exchange.bindings.length > 0);
      more.draw(andMore(exchange.more, "binding"));
    },
  };
}

/** @param {Ui} ui */
function bindingLine({ h }) {
  const key = h("span", { class: "workq-binding-key" });
  const destination = h("span", { class: "workq-binding-destination" });
  return {
    element: h("li", { class: "workq-binding" }, key, " → ", destination),
    /** @param {BindingLine} binding */
    draw({ routing_key, kind, destination: name }) {
      setText(key, isolated(routing_key) || "every message");
      setText(destination, `${kind} ${isolated(name)}`);
    },
  };
}

/**
 * Where the dead letters of a queue go, in words; nothing where they are dropped.
 * @param {Frame} frame
 * @param {string} queue
 */
export function deadLettersOf({ dead_letters }, queue) {
  const route = dead_letters.find((one) => one.queue === queue);
  if (route === undefined) return "";
  if (route.exchange === "") return `dead letters → queue ${isolated(route.routing_key || queue)}`;
  const key = route.routing_key ? `, key ${isolated(route.routing_key)}` : "";
  return `dead letters → exchange ${isolated(route.exchange)}${key}`;
}
