// @ts-check

/** The ends that a message may come to, in the order in which they are shown. */
export const ENDS = [
  { name: "lost", icon: "✕", title: "Lost", note: "Nobody has them any more." },
  { name: "done", icon: "✓", title: "Done", note: "" },
  { name: "discarded", icon: "⊘", title: "Discarded", note: "Dropped on purpose or purged." },
  {
    name: "dead-lettered",
    icon: "⇥",
    title: "Dead-lettered",
    note: "Their queue handed them to its dead letter exchange.",
  },
  { name: "returned", icon: "↩\uFE0E", title: "Returned", note: "No queue for them: sent back to the publisher." },
  { name: "refused", icon: "⊗", title: "Refused", note: "The broker would not take them." },
  { name: "unknown", icon: "?", title: "Unknown", note: "Nobody here saw what became of them." },
];
