// Log: topics, where roles stand, dead letters, a live tail, ledger and snapshots.
import { h, fill, card, empty, failed, table } from "../dom.js";
import { get, post } from "../api.js";
import { term } from "../tips.js";
import { brief, bytes, count, rate, seconds, when } from "../format.js";
import { withToken } from "./token.js";

export const title = "Log";

export function show(main, { meta }) {
  const stop = new AbortController();
  const topics = h("div"), lag = h("div"), ledger = h("div"), snapshots = h("div");
  async function look() {
    try { draw(await get("/api/log", {}, stop.signal)); } catch (error) { if (error.name !== "AbortError") fill(topics, failed(error)); }
  }
  function draw(told) {
    keep(topics, told.topics.length ? table(["Topic", term("Records", "records"), term("Per second", "topicRate"), "Partitions"],
      told.topics.map((one) => [h("code", {}, one.name), count(one.records), rate(one.per_s), String(one.partitions)]), { right: [1, 2, 3], label: "Topics" }) : empty("No topic was seen yet."));
    keep(lag, told.lag.length ? table(["Partition", term("End", "end"), term("To learn", "trainerLag"), term("Not in slates", "slateLag")],
      told.lag.map((one) => [String(one.partition), count(one.end), behind(one.end, one.learned), behind(one.end, one.known)]), { right: [1, 2, 3], label: "Partitions of interactions" }) : empty("Nothing is known yet."));
    keep(ledger, told.ledger.length ? table([term("Step", "ledger"), "Records", "Ranges, first to last offset"],
      told.ledger.slice(0, 12).map((one) => [count(one.step), count(one.records), h("span", { class: "mono" }, brief(one.ranges.join(", "), 180))]), { right: [0, 1], label: "Ledger, newest first" }) : empty("The ledger is empty: nothing was learned yet."));
    keep(snapshots, told.snapshots.length ? table(["Role", "Version", "Age", "State hash", "Where"],
      told.snapshots.map((one) => [one.role, count(one.version), seconds(one.age_s), h("code", {}, brief(one.state_hash, 16)), h("code", {}, brief(one.uri, 60))]), { right: [1, 2], label: "Snapshots" }) : empty("No snapshot was announced yet. The trainer writes one every trainer.snapshot_every_steps steps, and at a clean end."));
  }
  const tail = tailCard(meta), dead = lettersCard(meta, stop.signal);
  fill(main, h("div", { class: "page-head" }, h("h1", {}, title), h("p", {}, "The log is the truth: what is on the topics, and where each role stands")),
    h("div", { class: "stack" }, h("div", { class: "cols even" }, card("Topics", topics),
        h("div", { class: "stack" }, card("Interactions: where roles stand", lag),
          card("Snapshots", h("div", { class: "stack" }, snapshots, h("p", { class: "muted small" }, h("code", {}, "marquee verify"), " learns the ledger's steps again and compares hashes."))))),
      dead, tail.node, card("Ledger, newest steps first", ledger)));
  look();
  const again = setInterval(look, 2000);
  return () => { clearInterval(again); stop.abort(); tail.close(); };
}

/** New content without taking the focus from who is in it. */
function keep(place, node) {
  if (!place.contains(document.activeElement)) fill(place, node);
}

const behind = (end, at) => (at === null ? "–" : count(Math.max(0, end - at)));

// --- dead letters --------------------------------------------------------------------------------------------------

function lettersCard(meta, signal) {
  const list = h("div"), note = h("div", { role: "status" }), chosen = new Set();
  const words = h("input", { type: "search", id: "reason", placeholder: "Part of the reason", maxlength: "200" });
  const button = h("button", { type: "button", class: "button" }, "Look");
  const back = h("button", { type: "button", class: "button main", disabled: true }, "Send back");
  const count_ = () => { back.disabled = chosen.size === 0; back.textContent = chosen.size ? `Send back ${chosen.size}` : "Send back"; };
  async function look() {
    fill(list, empty("Reading the dead letters…"));
    chosen.clear(); count_();
    let told;
    try { told = await get("/api/letters", { words: words.value }, signal); } catch (error) { if (error.name !== "AbortError") fill(list, failed(error)); return; }
    if (!told.count) { fill(list, empty(words.value ? "No letter with such a reason." : "No dead letters: everything kept to the contract.")); return; }
    fill(list, table(["Why", "Test", "Letters"], told.kinds.map((one) => [one.reason, one.stage, count(one.count)]), { right: [2], label: "Reasons" }),
      h("h3", {}, `The newest ${count(told.letters.length)} of ${count(told.count)}`), h("ul", {}, told.letters.slice(0, 50).map(letter)));
  }
  function letter(one) {
    const body = h("div", { class: "stack" }), details = h("details", {}, h("summary", {}, "Bytes and headers"), body);
    details.addEventListener("toggle", async () => {
      if (!details.open || body.firstChild) return;
      try {
        const whole = await get("/api/letter", { id: one.id }, signal);
        fill(body, h("p", { class: "small" }, whole.refusal ? `This version would refuse it again: ${whole.refusal}` : "This version takes it: it can go back."),
          h("pre", { class: "bytes", tabindex: "0", "aria-label": "Bytes as text" }, whole.text || "(no bytes)"),
          h("details", {}, h("summary", {}, "In hexadecimal"), h("pre", { class: "bytes", tabindex: "0", "aria-label": "Bytes in hexadecimal" }, whole.hex)),
          table(["Header", "Value"], whole.headers.map(([name, value]) => [h("code", {}, name), h("code", {}, brief(value, 300))]), { label: "Headers" }));
      } catch (error) { if (error.name !== "AbortError") fill(body, failed(error)); }
    });
    const box = meta.may_write && !one.is_redriven ? h("input", { type: "checkbox", "aria-label": `Choose letter ${one.id}` }) : null;
    if (box) box.addEventListener("change", () => { if (box.checked) chosen.add(one.id); else chosen.delete(one.id); count_(); });
    return h("li", { class: "task" }, h("div", { class: "row" }, box, h("code", {}, one.id), h("span", { class: "badge" }, one.stage), one.is_redriven ? h("span", { class: "badge good" }, "sent back") : null,
      h("span", { class: "muted small" }, [one.origin, bytes(one.original_bytes), `${when(one.timestamp_ms)} UTC`].filter(Boolean).join(" · "))), h("p", {}, one.reason), details);
  }
  back.addEventListener("click", async () => {
    const told = await withToken(() => post("/api/redrive", { ids: [...chosen], yes: true }), note);
    if (!told) return;
    const kept = told.letters.filter((one) => one.verdict !== "ready");
    fill(note, h("p", {}, `${count(told.redriven)} sent back.`), kept.slice(0, 10).map((one) => h("p", { class: "small muted" }, `${one.id} stays: ${one.why}.`)));
    look();
  });
  const form = h("form", { class: "row" }, h("label", { class: "field", for: "reason" }, "Reason", words), button, meta.may_write ? back : null);
  button.type = "submit";
  form.addEventListener("submit", (event) => { event.preventDefault(); look(); });
  look();
  const node = card("Dead letters", h("div", { class: "stack" }, form, note, list));
  return node;
}

// --- live tail -----------------------------------------------------------------------------------------------------

function tailCard(meta) {
  const select = h("select", { id: "topic" }, meta.topics.filter((one) => !/^(requests|users|item-states|model-weights|erasures)\./.test(one)).map((one) => h("option", { value: one }, one)));
  const words = h("input", { type: "search", id: "words", placeholder: "Text in key or value", maxlength: "200" });
  const list = h("ol", { class: "tail" }), button = h("button", { type: "button", class: "button", "aria-pressed": "false" }, "Start");
  let source = null, waiting = 0;
  function close() { if (source) source.close(); source = null; button.textContent = "Start"; button.setAttribute("aria-pressed", "false"); }
  function open() {
    close();
    fill(list);
    source = new EventSource(`/api/tail?${new URLSearchParams({ topic: select.value, words: words.value })}`);
    button.textContent = "Stop"; button.setAttribute("aria-pressed", "true");
    source.addEventListener("records", (event) => {
      for (const one of JSON.parse(event.data).slice(-12)) list.prepend(h("li", {}, h("span", { class: "muted small" }, `${one.partition}:${one.offset}`), h("div", {}, h("b", { class: "small" }, brief(one.key, 60)), " ", h("code", {}, brief(one.value, 400) || "(tombstone)"))));
      while (list.children.length > 40) list.lastChild.remove();
    });
    source.addEventListener("error", () => { if (source && source.readyState === EventSource.CLOSED) { close(); fill(list, h("li", {}, failed(new Error("The tail was refused: too many streams are open. Close another page.")))); } });
  }
  button.addEventListener("click", () => (source ? close() : open()));
  const change = () => { clearTimeout(waiting); waiting = setTimeout(() => { if (source) open(); }, 300); };
  select.addEventListener("change", change); words.addEventListener("input", change);
  const node = card("Live tail", h("div", { class: "stack" }, h("div", { class: "row fields" }, h("label", { class: "field", for: "topic" }, "Topic", select), h("label", { class: "field", for: "words" }, "Filter", words), button, term("a sample", "sample")), list));
  return { node, close };
}
