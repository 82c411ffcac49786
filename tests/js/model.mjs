/** Python's side of the widget. */
export class FakeModel {
  sent = [];
  listeners = [];

  constructor(frame) {
    this.frame = frame;
  }

  get(name) {
    return name === "frame" ? this.frame : undefined;
  }

  on(name, act) {
    this.listeners.push({ name, act });
  }

  off(name, act) {
    this.listeners = this.listeners.filter((one) => one.name !== name || one.act !== act);
  }

  send(message) {
    this.sent.push(message);
  }

  fire(name, ...values) {
    for (const one of [...this.listeners]) if (one.name === name) one.act(...values);
  }

  /** A new frame comes from Python. */
  show(frame) {
    this.frame = { ...frame, number: (this.frame?.number ?? 0) + 1 };
    this.fire("change:frame");
  }

  answer(message) {
    this.fire("msg:custom", message);
  }

  /** What was sent since the last time, without the ids. */
  take() {
    return this.sent.splice(0).map(({ id: _, ...rest }) => rest);
  }
}
