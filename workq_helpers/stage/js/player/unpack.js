// @ts-check

import { RunError } from "./run.js";

const MOST_CHARACTERS = 200_000_000; // as in Python; a browser must hold all of it

/**
 * The text of a run that was packed with gzip and written as base64.
 * @param {string} packed
 */
export async function unpack(packed) {
  try {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return await readAll(stream.getReader());
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError("This run is not whole: it can't be unpacked. Get the file once more.");
  }
}

/** @param {ReadableStreamDefaultReader<Uint8Array>} reader */
async function readAll(reader) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > MOST_CHARACTERS) throw new RunError("This run is larger than any that can be played.");
  }
}
