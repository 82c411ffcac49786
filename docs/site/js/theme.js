// @ts-check

/** Gives the stage the page's theme, by the attribute that it has from JupyterLab. */
export function followTheme() {
  const { body } = document;
  const follow = () => {
    const theme = body.dataset.theme ?? "auto";
    if (theme === "auto") body.removeAttribute("data-jp-theme-light");
    else body.setAttribute("data-jp-theme-light", String(theme === "light"));
  };
  new MutationObserver(follow).observe(body, { attributes: true, attributeFilter: ["data-theme"] });
  follow();
}
