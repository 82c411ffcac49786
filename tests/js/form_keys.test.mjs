import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JSDOM } from "jsdom";
import { keepFormKeys } from "../../workq_helpers/stage/js/lab/form_keys.js";

const RADIO = '<label>one<input type="radio" value="0"></label><label>two<input type="radio" value="1"></label>';
const PAGE = `
  <div class="workq-form"><div class="widget-radio-box">${RADIO}</div><button>Answer</button></div>
  <div class="workq-form"><div class="widget-radio-box">${RADIO}</div></div>
  <div id="elsewhere"><div class="widget-radio-box">${RADIO}</div><button>Other</button></div>`;

function openPage() {
  const { window } = new JSDOM(PAGE);
  keepFormKeys(window);
  return window;
}

/** Presses a key as JupyterLab sees it: whether it leaves the key alone. */
function isKept(window, element, key, modifiers = {}) {
  let kept;
  const look = () => {
    kept = element.hasAttribute("data-lm-suppress-shortcuts");
  };
  window.document.addEventListener("keydown", look, { capture: true, once: true });
  element.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true, ...modifiers }));
  return kept;
}

describe("the keys of forms", () => {
  test("arrows, Enter and Space are the form's, all others JupyterLab's", () => {
    const window = openPage();
    for (const element of window.document.querySelectorAll(".workq-form input, .workq-form button")) {
      for (const key of ["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Enter", " "]) {
        assert.ok(isKept(window, element, key), key);
      }
      for (const key of ["j", "Escape", "Tab"]) assert.ok(!isKept(window, element, key), key);
      assert.ok(!isKept(window, element, "Enter", { shiftKey: true }));
      assert.ok(!isKept(window, element, "ArrowDown", { ctrlKey: true }));
    }
  });

  test("elsewhere every key is JupyterLab's", () => {
    const window = openPage();
    for (const element of window.document.querySelectorAll("#elsewhere input, #elsewhere button")) {
      for (const key of ["ArrowDown", "Enter", " "]) assert.ok(!isKept(window, element, key));
    }
  });

  test("a key that is pressed on nothing is no matter", () => {
    const window = openPage();
    const errors = [];
    window.addEventListener("error", ({ message }) => errors.push(message));
    window.document.dispatchEvent(new window.KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    assert.deepEqual(errors, []);
  });

  test("the choices of a question are one group, and no other's", () => {
    const window = openPage();
    const [first, second, elsewhere] = [...window.document.querySelectorAll(".widget-radio-box")].map((box) => [
      ...box.querySelectorAll("input"),
    ]);
    for (const buttons of [first, second, elsewhere, first]) buttons[1].focus();
    const names = [first, second, elsewhere].map((buttons) => new Set(buttons.map((button) => button.name)));
    assert.ok(names.every((each) => each.size === 1));
    assert.equal(new Set([...names[0], ...names[1]]).size, 2);
    assert.ok(![...names[0], ...names[1]].includes(""));
    assert.deepEqual([...names[2]], [""]);
  });
});
