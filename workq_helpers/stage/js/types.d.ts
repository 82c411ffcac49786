// What the modules have in common and no module owns.

import type { ASK, COMMAND, FOLD, MAIN, ON_CHANGE, ON_CLICK } from "./behavior.js";
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
}

declare global {
  interface Element {
    [ASK]?: { press: () => boolean; rest: () => void };
    [COMMAND]?: () => Command;
    [DRAWN]?: { text?: string; attributes: Record<string, Value>; styles: Record<string, string> };
    [FOLD]?: { open: boolean; touched: boolean };
    [MAIN]?: HTMLButtonElement;
    [ON_CHANGE]?: () => void;
    [ON_CLICK]?: () => void;
  }
}
