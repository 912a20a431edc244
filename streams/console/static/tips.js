// One tooltip for all terms: shown on hover, focus and tap, put away by Escape.
import { h } from "./dom.js";
import { DEFINITIONS } from "./definitions.js";

const tip = document.getElementById("tip");
let shownFor = null;

function show(node, text) {
  shownFor = node;
  tip.textContent = text;
  tip.hidden = false;
  node.setAttribute("aria-describedby", "tip");
  const at = node.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const left = Math.min(Math.max(12, at.left), document.documentElement.clientWidth - size.width - 12);
  const below = at.bottom + 8, above = at.top - size.height - 8;
  tip.style.left = `${Math.max(12, left)}px`;
  tip.style.top = `${below + size.height > window.innerHeight && above > 0 ? above : below}px`;
}

export function hideTip() {
  if (shownFor) shownFor.removeAttribute("aria-describedby");
  shownFor = null;
  tip.hidden = true;
}

document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
document.addEventListener("scroll", hideTip, { passive: true, capture: true });

/** A word with its definition. */
export function term(label, key) {
  const text = DEFINITIONS[key];
  if (!text) throw new Error(`no definition ${key}`);
  const node = h("button", { type: "button", class: "term" }, label);
  node.addEventListener("pointerenter", () => show(node, text));
  node.addEventListener("pointerleave", () => { if (document.activeElement !== node) hideTip(); });
  node.addEventListener("focus", () => show(node, text));
  node.addEventListener("blur", hideTip);
  node.addEventListener("click", () => show(node, text));
  return node;
}
