// @ts-check
// Numbers as words.

const NUMBERS = new Intl.NumberFormat("en-US");

/** @param {number | null} value */
export const formatCount = (value) => (value === null ? "–" : NUMBERS.format(value));

/** @param {number} value */
export const formatSeconds = (value) => `${value.toFixed(1)} s`;

/**
 * @param {number} count
 * @param {string} one
 */
export const plural = (count, one) => `${formatCount(count)} ${one}${count === 1 ? "" : "s"}`;

/** @param {string} text */
export const countDots = (text) => text.split(".").length - 1;

/**
 * What is not drawn, as a number; nothing where all is drawn.
 * @param {number} count
 * @param {string} what
 */
export const andMore = (count, what) => (count ? `+ ${plural(count, `more ${what}`)}` : "");
