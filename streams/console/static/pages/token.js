// Asks for the token once a page is open; it is kept in memory alone.
import { h, fill, failed } from "../dom.js";
import { hasToken, setToken } from "../api.js";

function askToken() {
  return new Promise((resolve) => {
    const input = h("input", { type: "password", autocomplete: "off", id: "token", required: true });
    const form = h("form", { method: "dialog", class: "stack" },
      h("h2", {}, "This changes something"), h("p", { class: "muted small" }, "It needs the console's token (console.token). It is kept until this page is closed, and nowhere else."),
      h("label", { class: "field", for: "token" }, "Token", input),
      h("div", { class: "row end" }, h("button", { class: "button main", value: "yes", type: "submit" }, "Go on"), h("button", { class: "button", value: "no", type: "submit", formnovalidate: true }, "Leave it")));
    const dialog = h("dialog", { "aria-label": "Token" }, form);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes" ? input.value.trim() : ""); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Runs a change; what goes wrong is said in `note`. Gives what the server said, or null. */
export async function withToken(change, note) {
  if (!hasToken()) {
    const told = await askToken();
    if (!told) return null;
    setToken(told);
  }
  try { return await change(); } catch (error) {
    if (/token/.test(error.message)) setToken("");
    fill(note, failed(error));
    return null;
  }
}
