// Now: what the engine does at this moment, how well it ranks, and what somebody should look at.
import { h, fill, say, card, table } from "../dom.js";
import { term } from "../tips.js";
import { lineChart } from "../charts.js";
import { count, rate, fixed, seconds, short, when, DASH } from "../format.js";

export const title = "Now";
const RANKERS = [["model", "Marquee", "model"], ["transitions", "Transitions", "transitions"], ["decayed_popularity", "Popularity", "popularity"]];
const MEASURES = { hr_at_10: ["HR@10", "hr"], ndcg_at_10: ["NDCG@10", "ndcg"] };
let measure = "hr_at_10";

const FIGURES = [
  ["Learned", "learned", (f) => [count(f.learned), ""], (f) => `${rate(f.learned_per_s)} per second`],
  ["Fresh in slates, median", "fresh", (f) => ms(f.fresh?.p50_ms), (f) => (f.fresh?.samples ? `p99 ${ms(f.fresh.p99_ms).join(" ")}` : f.model ? "none in the last minute" : "no slate yet")],
  ["Not yet learned", "trainerLag", (f) => [count(f.trainer_lag), ""], (f) => `${rate(f.arriving_per_s)} arrive per second`],
  ["Not yet in slates", "slateLag", (f) => [count(f.slate_lag), ""], () => "by the newest slates"],
  ["Model version", "model", (f) => [count(f.model?.version), ""], (f) => `step ${count(f.step)}`],
  ["Newest snapshot", "snapshot", (f) => [f.snapshot ? seconds(f.snapshot.age_s) : DASH, f.snapshot ? "old" : ""], (f) => `${count(f.trainer?.unsaved)} steps since`],
  ["Catalogue", "items", (f) => [short(f.trainer?.items), "items"], (f) => `${short(f.trainer?.users)} users`],
  ["Dead letters", "letters", (f) => [count(f.letters), ""], (f) => `${count(f.trainer?.rejected)} refused by this trainer`],
];

function ms(value) {
  if (value === null || value === undefined) return [DASH, ""];
  return value >= 10000 ? [(value / 1000).toFixed(1), "s"] : [count(value), "ms"];
}

function figure([label, key, value, beside]) {
  const number = h("span"), unit = h("small"), line = h("span", { class: "beside" });
  const node = h("div", { class: "figure" }, term(label, key), h("span", { class: "value" }, number, unit), line);
  return { node, update(f) { const [text, word] = value(f); say(number, text); say(unit, word); say(line, beside(f)); } };
}

function alarmsOf(f) {
  if (!f.alarms) return [];
  if (!f.alarms.length) {
    return [h("div", { class: "alarm good" }, h("p", {}, f.caught_up ? "All is well: learning and serving keep up with what arrives." : "Reading what is on the topics."))];
  }
  return f.alarms.map((one) => h("div", { class: `alarm ${one.level}` }, h("p", {}, one.text), h("p", {}, one.what)));
}

function curvesCard() {
  const values = RANKERS.map(([, name, color]) => ({ li: null, number: h("b"), name, color }));
  const legend = h("ul", { class: "legend" }, values.map((one) => h("li", { class: `c-${one.color}` }, h("i"), h("span", {}, one.name), one.number)));
  let told = null;
  const words = (at) => {
    const parts = RANKERS.map(([key, name]) => {
      const of = told.curves[key][measure];
      return `${name} ${fixed(of.mean[at], 3)} (${fixed(of.low[at], 3)} to ${fixed(of.high[at], 3)})`;
    });
    return `${count(told.learned[at])} learned, ${when(told.at_ms[at])}: ${parts.join("; ")}`;
  };
  const chart = lineChart({
    lines: RANKERS.map(([, name, color]) => ({ label: name, color: `--${color}`, band: true, width: color === "model" ? 2.5 : 1.6, fade: color === "model" ? "2b" : "16" })),
    label: "Ranking along the stream", xText: (x) => short(x), yText: (y) => y.toFixed(2), tell: words,
  });
  const heads = h("span"), buttons = Object.entries(MEASURES).map(([key, [name]]) => h("button", { type: "button", "aria-pressed": String(key === measure), onclick: () => choose(key) }, name));
  const rows = h("div"), waiting = h("p", { class: "empty" }, "The first window of ranked events is not full yet.");
  const details = h("details", {}, h("summary", {}, "As a table"), rows);
  const scored = h("p");
  const node = card("Ranking each event before it is learned");
  node.firstChild.append(h("div", { class: "seg", role: "group", "aria-label": "Measure" }, buttons));
  node.append(h("div", { class: "row small muted" }, heads, scored), legend, waiting, chart.node, details);
  details.addEventListener("toggle", () => draw());
  function choose(key) {
    measure = key;
    buttons.forEach((one, at) => one.setAttribute("aria-pressed", String(Object.keys(MEASURES)[at] === key)));
    draw();
  }
  function draw() {
    const has = told && told.learned.length > 0;
    waiting.hidden = has; chart.node.hidden = !has; legend.hidden = !has; details.hidden = !has;
    fill(heads, term(`${MEASURES[measure][0]} so far`, MEASURES[measure][1]));
    if (!has) return;
    say(scored, `over ${count(told.scored)} ranked events; along the stream, each point has an even share of them`);
    values.forEach((one, at) => say(one.number, fixed(told.totals?.[RANKERS[at][0]][measure], 3)));
    const columns = RANKERS.flatMap(([key]) => { const of = told.curves[key][measure]; return [of.mean, of.low, of.high]; });
    const x = told.learned.length > 1 ? told.learned : [told.learned[0], told.learned[0] + 1];
    chart.set([x, ...columns.map((one) => (one.length > 1 ? one : [one[0], null]))]);
    chart.name(`${MEASURES[measure][0]} along the stream. Latest: ${words(told.learned.length - 1)}`);
    if (details.open) {
      const last = told.learned.map((_, at) => at).reverse().slice(0, 40);
      fill(rows, table(["Learned", "Ranked", ...RANKERS.map(([, name]) => name)],
        last.map((at) => [count(told.learned[at]), count(told.events[at]), ...RANKERS.map(([key]) => fixed(told.curves[key][measure].mean[at], 3))]),
        { right: [0, 1, 2, 3, 4], label: "Along the stream, newest first" }));
    }
  }
  draw();
  return { node, close: chart.close, update(curves) { told = curves; draw(); } };
}

function ratesCard() {
  let told = null;
  const chart = lineChart({
    low: true, lines: [{ label: "Arriving", color: "--muted", width: 1.5 }, { label: "Learned", color: "--model", width: 2 }],
    label: "Interactions per second", xText: (x) => (x === 0 ? "now" : `${Math.round(-x)} s ago`), yText: (y) => short(y),
    tell: (at) => `${Math.round(-told.ago_s[at])} s ago: ${rate(told.arriving[at])} arrived, ${rate(told.learned[at])} learned per second`,
  });
  const node = card("Interactions per second", h("ul", { class: "legend" },
    h("li", {}, h("i", { css: { "--c": "var(--muted)" } }), term("Arriving", "arriving")), h("li", { class: "c-model" }, h("i"), term("Learned", "rate"))), chart.node);
  return { node, close: chart.close, update(history) { told = history; if (history.ago_s.length > 1) chart.set([history.ago_s, history.arriving, history.learned]); } };
}

export function show(main, { live }) {
  const figures = FIGURES.map(figure), curves = curvesCard(), rates = ratesCard();
  const alarms = h("div", { class: "alarms", role: "status" }), time = h("p");
  let drawn = "";
  fill(main, h("div", { class: "page-head" }, h("h1", {}, title), time),
    h("div", { class: "stack" }, alarms, h("div", { class: "figures" }, figures.map((one) => one.node)), curves.node, rates.node));
  const update = (name, told) => {
    if (name === "curves") { curves.update(told); return; }
    if (name === "rates") { rates.update(told); return; }
    const words = JSON.stringify([told.alarms, told.caught_up]);
    if (words !== drawn) { drawn = words; fill(alarms, alarmsOf(told)); }
    figures.forEach((one) => one.update(told));
    say(time, told.event_ms ? `learned up to ${when(told.event_ms)} UTC, event time` : "");
  };
  live.listeners.add(update);
  if (live.now) update("now", live.now);
  if (live.curves) update("curves", live.curves);
  if (live.rates) update("rates", live.rates);
  return () => { curves.close(); rates.close(); };
}
