// Elements without HTML text: whatever an id or a title holds, it is set as text and never read as markup.

export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (name === "css") for (const [key, what] of Object.entries(value)) node.style.setProperty(key, what);
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replace what is in a node. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** Set a text only where it differs: nothing is laid out anew for a figure that stands. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function card(title, ...children) {
  const id = `card-${Math.random().toString(36).slice(2, 9)}`;
  return h("section", { class: "card", "aria-labelledby": id }, h("div", { class: "card-head" }, h("h2", { id }, title)), ...children);
}

export const empty = (text) => h("p", { class: "empty" }, text);
export const failed = (error) => h("p", { class: "failed", role: "alert" }, error.message);

/** A table of text: heads are texts or nodes; rows of cells; `right` names the columns of numbers. */
export function table(heads, rows, { right = [], label }) {
  const align = (at) => (right.includes(at) ? "num" : null);
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label },
    h("table", {},
      h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: align(at) }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) => h("td", { class: align(at) }, cell)))))));
}
