// @ts-check

import { show } from "../../../workq_helpers/stage/js/player/play.js";
import { unfold } from "./folds.js";

/** @import { Player } from "../../../workq_helpers/stage/js/player/play.js" */

const NEAR = "400px"; // a run is opened before it is scrolled to

/** The players of a page, each opened when somebody comes near. */
class Players {
  /** @type {Map<Element, Promise<Player | undefined>>} */
  #opened = new Map();

  /** @param {Element} stage */
  open(stage) {
    const known = this.#opened.get(stage);
    if (known) return known;
    const place = /** @type {HTMLElement} */ (stage.querySelector(".course-player"));
    const packed = stage.querySelector("script[data-workq-run]")?.textContent ?? "";
    const at = place.dataset.atSeconds;
    const opened = show(place, packed.trim(), at === undefined ? null : Number(at));
    this.#opened.set(stage, opened);
    return opened;
  }

  /**
   * Follows a link to a moment of a run.
   * @param {MouseEvent} event
   */
  async follow(event) {
    const link = /** @type {Element} */ (event.target).closest?.("a[data-play-from]");
    const stage = link && document.querySelector(/** @type {string} */ (link.getAttribute("href")));
    if (!stage) return;
    event.preventDefault();
    unfold(stage);
    stage.scrollIntoView({ block: "nearest" });
    const player = await this.open(stage);
    player?.seek(Number(/** @type {HTMLElement} */ (link).dataset.playFrom));
    player?.play();
  }
}

/** Opens each run near the screen, and plays those that are to play by themselves. */
export function openPlayers() {
  const players = new Players();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const observer = new IntersectionObserver(
    async (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        const player = await players.open(target);
        if (target.hasAttribute("data-autoplay") && !still) player?.play();
      }
    },
    { rootMargin: NEAR },
  );
  for (const stage of document.querySelectorAll(".course-stage")) observer.observe(stage);
  document.addEventListener("click", (event) => players.follow(event));
}
