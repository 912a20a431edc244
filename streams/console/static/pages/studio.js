// Studio: what content would pay off next, why, and what was made.
import { h, fill, empty, failed } from "../dom.js";
import { get } from "../api.js";
import { count } from "../format.js";
import { taskView } from "./content.js";

export const title = "Studio";
const KINDS = ["blurb", "image", "cut", "dub", "subtitles"], STATES = ["open", "done", "failed", "rejected", "withdrawn", "too old"];

export function show(main, { meta }) {
  const stop = new AbortController(), list = h("section", { class: "card", "aria-label": "Content tasks" }), chips = h("div", { class: "chips", role: "group", "aria-label": "State" });
  const note = h("div", { role: "status" });
  let state = "open", kind = "", isChosen = false;
  const select = h("select", { id: "kind" }, h("option", { value: "" }, "every kind"), KINDS.map((one) => h("option", { value: one }, one)));
  select.addEventListener("change", () => { kind = select.value; look(); });
  async function look() {
    let told;
    try { told = await get("/api/tasks", { kind, state }, stop.signal); } catch (error) { if (error.name !== "AbortError") fill(list, failed(error)); return; }
    const total = Object.values(told.states).reduce((sum, one) => sum + one, 0);
    if (!isChosen && !kind && state && total && !told.states[state]) { state = ""; look(); return; } // all are done: they are what there is to see
    const chip = (name, label, number) => h("button", { type: "button", class: "chip", "aria-pressed": String(state === name), onclick: () => { state = name; isChosen = true; look(); } }, `${label} ${count(number)}`);
    fill(chips, chip("", "all", total), STATES.filter((one) => told.states[one] || one === "open").map((one) => chip(one, one, told.states[one] ?? 0)));
    const top = Math.max(0, ...told.tasks.map((one) => one.gain.high));
    fill(list, told.tasks.length ? told.tasks.map((one) => taskView(one, meta, { top, at: note, after: () => setTimeout(look, 800) }))
      : empty(total ? "No task of this state and kind." : "No content task yet. The planner writes them once it has seen enough demand (marquee run --role planner)."),
      told.count > told.tasks.length ? h("p", { class: "muted small" }, `${count(told.tasks.length)} of ${count(told.count)} shown, those with most to gain.`) : null);
  }
  fill(main, h("div", { class: "page-head" }, h("h1", {}, title), h("p", {}, "Content that would pay off, with most to gain first")),
    h("div", { class: "stack" }, h("div", { class: "row fields" }, chips, h("label", { class: "field", for: "kind" }, "Kind", select)), note, list));
  look();
  const again = setInterval(() => { if (!main.querySelector("details[open], video") && !document.querySelector("dialog[open]")) look(); }, 5000); // what somebody reads stays
  return () => { clearInterval(again); stop.abort(); };
}
