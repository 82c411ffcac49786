// @ts-check

/** The ends that a message may come to, in the order in which they are shown; `one` is the note on a single message. */
export const ENDS = [
  { name: "lost", icon: "✕", title: "Lost", note: "Nobody has them any more.", one: "Nobody has it any more." },
  { name: "done", icon: "✓", title: "Done", note: "", one: "" },
  {
    name: "discarded",
    icon: "⊘",
    title: "Discarded",
    note: "Dropped on purpose or purged.",
    one: "Dropped on purpose or purged.",
  },
  {
    name: "dead-lettered",
    icon: "⇥",
    title: "Dead-lettered",
    note: "Their queue handed them to its dead letter exchange.",
    one: "Its queue handed it to its dead letter exchange.",
  },
  {
    name: "returned",
    icon: "↩\uFE0E",
    title: "Returned",
    note: "No queue for them: sent back to the publisher.",
    one: "No queue for it: sent back to the publisher.",
  },
  {
    name: "refused",
    icon: "⊗",
    title: "Refused",
    note: "The broker would not take them.",
    one: "The broker would not take it.",
  },
  {
    name: "unknown",
    icon: "?",
    title: "Unknown",
    note: "Nobody here saw what became of them.",
    one: "Nobody here saw what became of it.",
  },
];
