// @ts-check

/** Makes each picture a button that shows it as large as it was drawn. */
export function enlargePictures() {
  const pictures = /** @type {NodeListOf<HTMLImageElement>} */ (document.querySelectorAll(".cell_output img"));
  if (pictures.length === 0) return;
  const dialog = makeDialog();
  for (const picture of pictures) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "course-picture";
    button.setAttribute("aria-label", `Enlarge: ${picture.alt}`);
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => open(dialog, picture));
  }
}

function makeDialog() {
  const dialog = document.createElement("dialog");
  dialog.className = "course-enlarged";
  dialog.setAttribute("aria-label", "The picture, enlarged");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  dialog.append(close, document.createElement("div"));
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  return dialog;
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {HTMLImageElement} picture
 */
function open(dialog, picture) {
  const place = /** @type {HTMLElement} */ (dialog.lastElementChild);
  place.replaceChildren(picture.cloneNode());
  place.tabIndex = 0; // it may be larger than the screen
  dialog.showModal();
}
