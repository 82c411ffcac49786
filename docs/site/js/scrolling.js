// @ts-check

/** Lets the keyboard scroll what is wider than the page. */
export function reachWhatScrolls() {
  const wide = () => {
    for (const box of document.querySelectorAll("article :is(pre, .text_html, .table-wrapper)"))
      if (box.scrollWidth > box.clientWidth) /** @type {HTMLElement} */ (box).tabIndex = 0;
  };
  new ResizeObserver(wide).observe(document.body); // what is unfolded makes the page longer
  wide();
}
