// @ts-check
// What an element does when the learner acts on it. `gestures.js` looks for these on the way up from where it happened.

/** The command that a control sends. */
export const COMMAND = Symbol("command");
/** The main button of a form: Enter presses it. */
export const MAIN = Symbol("main button");
/** A button that asks for a second press: whether this press may be sent, and how to take the question back. */
export const ASK = Symbol("ask");
/** What a button does in this view alone. */
export const ON_CLICK = Symbol("on click");
/** What a change of an input does in this view alone. */
export const ON_CHANGE = Symbol("on change");
