// @ts-check

/** @returns {HTMLDetailsElement[]} What is folded away in the page's text. */
const folds = () => [.../** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("article details"))];

/** Puts a button below the page's heading that unfolds all there is, or folds it again. */
export function addUnfoldAll() {
  const heading = document.querySelector("article h1");
  if (!heading || folds().length === 0) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "course-unfold";
  const draw = () => {
    button.textContent = folds().every((fold) => fold.open) ? "Fold all" : "Unfold all";
  };
  button.addEventListener("click", () => {
    const open = !folds().every((fold) => fold.open);
    for (const fold of folds()) fold.open = open;
    draw();
  });
  document.addEventListener("toggle", draw, true);
  heading.after(button);
  draw();
}

/**
 * Opens the fold that an element is in.
 * @param {Element | null} element
 */
export function unfold(element) {
  for (let fold = element?.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
}

/** Opens the fold in which the target of a link stands. */
export function openFoldOfTarget() {
  const open = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id ? document.getElementById(id) : null;
    if (!target?.closest("details")) return;
    unfold(target);
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", open);
  open();
}
