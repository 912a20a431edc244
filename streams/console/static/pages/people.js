// People and items: search, a user's slate and history, the past, an item with all that is known of it.
import { h, fill, card, empty, failed } from "../dom.js";
import { get } from "../api.js";
import { term } from "../tips.js";
import { count, fixed, when, brief } from "../format.js";
import { assetView, taskView } from "./content.js";

export const title = "People and items";
const to = (what, id) => `#/people?${new URLSearchParams({ [what]: id })}`;
const nameOf = (one) => one.title || one.item_id;

export function show(main, { query, meta }) {
  const stop = new AbortController();
  const found = h("div"), view = h("div", { class: "stack" });
  const input = h("input", { type: "search", id: "q", placeholder: "A title, an item's id or a user's id", autocomplete: "off", spellcheck: "false", maxlength: "512" });
  let waiting = 0, asked = "";
  const look = async () => {
    asked = input.value.trim();
    const mine = asked;
    try {
      const told = await get("/api/search", { q: mine }, stop.signal);
      if (mine === asked) fill(found, results(told, mine));
    } catch (error) { if (error.name !== "AbortError") fill(found, failed(error)); }
  };
  input.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(look, 180); });
  const form = h("form", { class: "search", role: "search" }, h("label", { for: "q", class: "small muted" }, "Search"), input);
  form.addEventListener("submit", (event) => { event.preventDefault(); look(); });
  fill(main, h("div", { class: "page-head" }, h("h1", {}, title)), h("div", { class: "stack" }, form, found, view));
  look();
  const user = query.get("user"), item = query.get("item");
  if (user) showUser(view, user, stop.signal);
  else if (item) showItem(view, item, stop.signal, meta);
  return () => { clearTimeout(waiting); stop.abort(); };
}

function results(told, words) {
  const users = told.users.map((one) => h("a", { class: "chip", href: to("user", one) }, brief(one, 40)));
  if (words) users.unshift(h("a", { class: "chip", href: to("user", words) }, `Open user “${brief(words, 30)}”`));
  const items = told.items.map((one) => h("a", { class: "chip", href: to("item", one.item_id) }, brief(nameOf(one), 60)));
  return h("div", { class: "stack" },
    users.length ? h("div", { class: "stack" }, h("h2", {}, words ? "Users" : "Who acted just now"), h("div", { class: "chips" }, users)) : empty("Nobody has acted since the console started."),
    items.length ? h("div", { class: "stack" }, h("h2", {}, "Items"), h("div", { class: "chips" }, items)) : words ? h("p", { class: "muted small" }, `None of ${count(told.held)} items has such a title or id.`) : null);
}

// --- a user --------------------------------------------------------------------------------------------------------

async function showUser(view, id, signal) {
  fill(view, empty("Reading the user's partitions…"));
  let told;
  try { told = await get("/api/user", { id }, signal); } catch (error) { if (error.name !== "AbortError") fill(view, failed(error)); return; }
  const slate = h("div"), head = h("div", { class: "card-head" });
  const slateCard = h("section", { class: "card", "aria-label": "Slate" }, head, slate);
  const current = () => {
    fill(head, h("h2", {}, "Current slate"), h("p", {}, told.slate ? `${when(told.slate.generated_at_ms)} UTC, model version ${count(told.slate.model.version)}` : ""));
    fill(slate, told.slate ? places(told.slate, id, "now") : empty(`No slate of this user among the last ${count(told.looked.slates)} of its partition. One comes with the next request or interaction.`));
  };
  current();
  const history = card(`History, newest first`, told.history.length
    ? h("ol", { class: "events long", tabindex: "0", "aria-label": "History" }, told.history.map((one) => h("li", {}, h("a", { href: to("item", one.item_id) }, nameOf(one)), h("span", { class: "badge" }, one.action + (one.value === undefined ? "" : ` ${one.value}`)), h("span", { class: "muted small" }, `${when(one.occurred_at_ms)} UTC`))))
    : empty(`No interaction of this user among the last ${count(told.looked.interactions)} of its partition.`));
  fill(view, h("div", { class: "page-head" }, h("h2", { class: "title" }, `User ${brief(id, 80)}`)),
    h("div", { class: "cols wide-left" }, slateCard, h("div", { class: "stack" }, told.history.length ? travel(told, id, { head, slate, current }, signal) : null, history)));
}

function places(slate, user, moment) {
  if (!slate.items.length) return empty(slate.error || "The slate is empty: nothing that may be shown is left.");
  const scores = slate.items.map((one) => one.score), top = Math.max(...scores), low = Math.min(...scores);
  return h("div", {},
    h("div", { class: "row small" }, term("Score", "score"), term("Source", "source"), term("Propensity", "propensity")),
    h("ol", { class: "places" }, slate.items.map((one) => h("li", {},
      h("span", { class: "rank" }, String(one.rank)), h("a", { class: "title", href: to("item", one.item_id) }, nameOf(one)), h("span", { class: "score" }, fixed(one.score, 3)),
      h("span", { class: "why" }, h("span", { class: "badge accent" }, one.source), one.explored ? h("span", { class: "badge warn" }, "explored") : null,
        h("span", {}, one.reasons.join("; ")), one.propensity < 1 ? h("span", {}, `propensity ${fixed(one.propensity, 3)}`) : null,
        h("button", { type: "button", class: "quiet", "aria-label": `Why ${nameOf(one)}`, onclick: (event) => explain(event.target, user, one, moment) }, "Why?")),
      h("span", { class: "meter", "aria-hidden": "true" }, h("span", { css: { width: `${top > low ? Math.round(8 + 92 * (one.score - low) / (top - low)) : 100}%` } }))))));
}

/** The past: the slider goes through what the user did; a rebuild learns up to that moment and asks again. */
function travel(told, user, { head, slate, current }, signal) {
  const steps = [...told.history].reverse();
  const range = h("input", { type: "range", id: "moment", min: "0", max: String(steps.length), value: String(steps.length), step: "1" });
  const words = h("output", { for: "moment", class: "small" });
  const button = h("button", { type: "button", class: "button main" }, "Rebuild this moment");
  const say = () => {
    const at = Number(range.value);
    words.textContent = at === steps.length ? "Now: the slate as it was last served." : `Just after ${nameOf(steps[at])}, ${when(steps[at].occurred_at_ms)} UTC.`;
    button.disabled = at === steps.length;
    if (at === steps.length) current();
  };
  range.addEventListener("input", say);
  button.addEventListener("click", async () => {
    const at = Number(range.value), moment = `ms:${steps[at].occurred_at_ms}`;
    button.disabled = true;
    fill(slate, empty("Learning from the nearest snapshot up to that moment. This may take a minute…"));
    try {
      const past = await get("/api/past", { user, at: moment }, signal);
      fill(head, h("h2", {}, "Slate of then"), h("p", {}, `as of ${when(steps[at].occurred_at_ms)} UTC, step ${count(past.model.step)}`));
      fill(slate, places(past, user, moment));
    } catch (error) { if (error.name !== "AbortError") fill(slate, failed(error)); }
    button.disabled = false;
  });
  say();
  return card("Go back in time", h("div", { class: "stack" }, h("label", { for: "moment", class: "small muted" }, "As of"), range, words, h("div", { class: "row" }, button)));
}

async function explain(opener, user, item, moment) {
  const body = h("div", { class: "stack" }, empty("Rebuilding the moment, with and without each of the last events. This may take a minute…"));
  const stop = new AbortController();
  const dialog = h("dialog", { "aria-label": `Why ${nameOf(item)}` }, h("div", { class: "stack" }, h("h2", {}, nameOf(item)), body),
    h("form", { method: "dialog", class: "row end" }, h("button", { class: "button" }, "Close")));
  dialog.addEventListener("close", () => { stop.abort(); dialog.remove(); opener.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  try {
    const told = await get("/api/why", { user, item: item.item_id, at: moment }, stop.signal);
    fill(body, h("p", {}, told.rank === null ? "It is in no slate of that moment." : `Place ${told.rank}, score ${fixed(told.score, 3)}, from ${told.source}: ${told.reasons.join("; ")}.`),
      h("h3", {}, "Without one of the last events it would stand at"),
      told.without.length ? h("ol", { class: "events" }, told.without.map((one) => h("li", {}, h("span", {}, `without ${nameOf(one)}`), h("b", {}, one.rank === null ? "no place" : `place ${one.rank}`), h("span", { class: "muted small" }, `${when(one.at_ms)} UTC`)))) : empty("The user has done nothing yet."));
  } catch (error) { if (error.name !== "AbortError") fill(body, failed(error)); }
}

// --- an item -------------------------------------------------------------------------------------------------------

function coldness(seen) {
  if (!seen) return ["never seen", "warn"];
  if (seen < 5) return ["cold", "warn"];
  return seen < 50 ? ["warming", "accent"] : ["warm", "good"];
}

async function showItem(view, id, signal, meta) {
  fill(view, empty("Reading the item's partition…"));
  let told;
  try { told = await get("/api/item", { id }, signal); } catch (error) { if (error.name !== "AbortError") fill(view, failed(error)); return; }
  const item = told.item || {}, seen = told.state ? told.state.count : 0, [word, tone] = coldness(seen);
  const fact = (label, key, value) => h("div", {}, h("dt", {}, key ? term(label, key) : label), h("dd", {}, value));
  const facts = h("dl", { class: "facts" },
    fact("Sightings", "sightings", count(seen)), fact("Coldness", "coldness", h("span", { class: `badge ${tone}` }, word)),
    fact("First seen", null, told.state ? when(told.state.first_seen_ms) : "–"), fact("Came out", null, item.published_at_ms === undefined ? "–" : when(item.published_at_ms).slice(0, 10)),
    item.duration_s ? fact("Length", null, `${Math.round(item.duration_s / 60)} min`) : null, item.creator ? fact("Creator", null, item.creator) : null,
    item.language ? fact("Language", null, item.language) : null, item.maturity ? fact("From age", null, String(item.maturity)) : null,
    told.state?.value_mean ? fact("Mean value given", null, fixed(told.state.value_mean, 2)) : null);
  fill(view, h("div", { class: "page-head" }, h("h2", { class: "title" }, item.title || id), h("p", { class: "mono" }, id)),
    told.item ? null : h("p", { class: "muted" }, "There is no record of this item in the catalogue that the console holds."),
    card("What is known", h("div", { class: "stack" }, facts, item.tags?.length ? h("div", { class: "chips" }, item.tags.slice(0, 30).map((tag) => h("span", { class: "badge" }, tag))) : null, item.text ? h("p", {}, brief(item.text, 1200)) : null)),
    h("div", { class: "cols even" },
      card("Content tasks", told.tasks.length ? h("div", {}, told.tasks.map((one) => taskView({ ...one, asset: null }, meta))) : empty("No content is wanted for this item.")),
      card("Assets", told.assets.length ? h("div", { class: "stack" }, told.assets.map(assetView)) : empty("Nothing was made for this item yet."))));
}
