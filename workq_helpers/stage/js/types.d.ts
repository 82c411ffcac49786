// What the modules have in common and no module owns.

import type { ASK, COMMAND, MAIN, ON_CHANGE, ON_CLICK } from "./behavior.js";
import type { DRAWN } from "./dom.js";
import type { Frame } from "./frame.d.ts";

export type Value = string | number | boolean | null | undefined;

/** Makes an element, see `elementMaker`. */
export type MakeElement = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes?: Record<string, Value>,
  ...children: (string | Node)[]
) => HTMLElementTagNameMap[Tag];

/** A part of the view that is drawn anew with each frame. */
export interface Part {
  element: HTMLElement;
  draw(frame: Frame): void;
}

/** A part of a list, which draws one item. */
export interface ItemPart<Item> {
  element: HTMLElement;
  draw(item: Item, index: number): void;
}

/** What a control asks Python to do, and its arguments. */
export interface Command {
  do: string;
  [argument: string]: Value;
}

/** What Python answers to a command: that it was taken, how it ended, or the code that does the same. */
export interface Answer {
  id?: unknown;
  taken?: boolean;
  ok?: boolean;
  text?: string;
  code?: string;
}

/** Python's side of the widget, as anywidget hands it over. */
export interface Model {
  get(name: "frame"): Frame | Record<string, never> | undefined;
  on(name: string, act: (...values: never[]) => void): void;
  off(name: string, act: (...values: never[]) => void): void;
  send(message: unknown): void;
  /** JupyterLab's knows which document the model belongs to. */
  widget_manager?: { context?: object };
}

/** JupyterLab's panel beside a notebook, see `lab_extension`. */
export interface StagePanel {
  /** Whether the page has a notebook that a cell's output is in. */
  isBeside(el: Element): boolean;
  /** There is a stage in the kernel of this document; `open` makes a view of it, and returns what ends the view. */
  offer(context: object, open: (notebook: object) => () => void): void;
  /** The view wants to be shown beside its notebook. */
  join(view: Placed): void;
  /** It does no longer. */
  leave(view: Placed): void;
  /** Opens the panel if it is closed, with this view in it. */
  show(view: Placed): void;
}

/** A view as the panel knows it. */
export interface Placed {
  el: HTMLElement;
  root: HTMLElement;
  /** Its notebook, where no cell has an output that it could stand in. */
  notebook: object | null;
  /** Is told where the view is shown: beside the notebook, below its cell, or nowhere while another one is beside. */
  place(where: "panel" | "cell" | "away"): void;
}

declare global {
  interface Window {
    workqPanel?: StagePanel;
  }
  interface Element {
    [ASK]?: { press: () => boolean; rest: () => void };
    [COMMAND]?: () => Command;
    [DRAWN]?: { text?: string; attributes: Record<string, Value>; styles: Record<string, string> };
    [MAIN]?: HTMLButtonElement;
    [ON_CHANGE]?: () => void;
    [ON_CLICK]?: () => void;
  }
}
