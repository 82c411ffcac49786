// @ts-check

/** Lets the keyboard scroll what is wider than the page: now, and when the page grows, as what is unfolded makes it. */
export function reachWhatScrolls() {
  new ResizeObserver(() => {
    // All are measured before the first is changed: one layout of the page is enough.
    const boxes = /** @type {NodeListOf<HTMLElement>} */ (
      document.querySelectorAll("article :is(pre, .text_html, .table-wrapper)")
    );
    for (const box of [...boxes].filter((each) => each.scrollWidth > each.clientWidth)) box.tabIndex = 0;
  }).observe(document.body); // which tells its size at once, too
}
