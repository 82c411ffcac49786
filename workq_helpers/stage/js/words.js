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

const FROM_THE_RIGHT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u;

/**
 * A name among other words, which it must not turn around though it may be written from the right.
 * @param {string} name
 */
export const isolated = (name) => (FROM_THE_RIGHT.test(name) ? `\u2068${name}\u2069` : name);

/** @param {string} text */
export const countDots = (text) => text.split(".").length - 1;

/**
 * What is not drawn, as a number; nothing where all is drawn.
 * @param {number} count
 * @param {string} what
 */
export const andMore = (count, what) => (count ? `+ ${plural(count, `more ${what}`)}` : "");
