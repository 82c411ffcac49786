// @ts-check
// What stands in the panel before there is a stage.

const INVITATION = [
  ["h3", "The stage"],
  ["p", "Here you see what RabbitMQ does: messages in their queues, workers at their tasks."],
  ["p", "Click the first cell of the notebook and press Shift+Enter, once for each cell."],
  ["p", "The stage begins with the cell that says lesson.stage."],
];
const INVITATION_STYLE =
  "margin: 18vh auto; max-width: 380px; padding: 20px; text-align: center; border-radius: 8px; " +
  "border: 1.5px dashed var(--jp-border-color0); color: var(--jp-ui-font-color1); font: 14px/1.5 var(--jp-ui-font-family);";

export function invitation() {
  const element = document.createElement("section");
  element.setAttribute("style", INVITATION_STYLE);
  element.append(...INVITATION.map(([tag, text]) => Object.assign(document.createElement(tag), { textContent: text })));
  return Object.assign(element, { isInvitation: true });
}
