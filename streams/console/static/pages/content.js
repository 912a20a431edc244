// A content task and what was made of it, on the pages Studio and People and items.
import { h, fill, table } from "../dom.js";
import { post } from "../api.js";
import { term } from "../tips.js";
import { bytes, fixed, seconds, when } from "../format.js";
import { withToken } from "./token.js";

const STATES = { open: "accent", done: "good", rejected: "bad", failed: "bad", withdrawn: "", "too old": "warn" };

function player(file) {
  if (!file.sha256 || !/^[0-9a-f]{64}$/.test(file.sha256)) return null;
  const src = `/media/${file.sha256}`, kind = file.media_type.split("/")[0];
  if (kind === "image") return h("img", { class: "media", src, alt: "The picture that was made", loading: "lazy" });
  if (kind === "video") return h("video", { class: "media", src, controls: true, preload: "metadata", "aria-label": "The film that was made" });
  if (kind === "audio") return h("audio", { src, controls: true, preload: "metadata", "aria-label": "The sound that was made" });
  return h("p", {}, h("a", { href: src }, "Open the text"));
}

/** An asset with its check report; plays where the store is readable by the console. */
export function assetView(asset) {
  const file = asset.file, node = h("div", { class: "stack" });
  const shown = file ? player(file) : null;
  if (shown) shown.addEventListener("error", () => fill(place, h("p", { class: "muted small" }, "The file is not in the store that this console reads (studio.store_dir).")), { once: true });
  const place = h("div", {}, shown);
  const report = Object.entries(asset.quality);
  node.append(h("div", { class: "row" }, h("span", { class: `badge ${STATES[asset.status] ?? ""}` }, asset.status),
    file ? h("span", { class: "muted small" }, [file.media_type, bytes(file.bytes), file.duration_ms ? seconds(file.duration_ms / 1000) : null, file.language].filter(Boolean).join(" · ")) : null));
  if (asset.error) node.append(h("p", { class: "failed" }, asset.error));
  node.append(place);
  if (report.length) node.append(h("details", {}, h("summary", {}, `Check report, ${report.length} figures`), table(["Check", "Figure"], report.map(([name, value]) => [name, fixed(value, 3)]), { right: [1], label: "Check report" })));
  if (file?.sha256) node.append(h("p", { class: "muted mono" }, `sha256 ${file.sha256}`));
  return node;
}

function interval(gain, top) {
  const share = (value) => Math.min(100, Math.max(0, (100 * value) / (top || 1)));
  return h("div", { class: "range", "aria-hidden": "true" }, h("i", { css: { left: `${share(gain.low)}%`, width: `${Math.max(1, share(gain.high) - share(gain.low))}%` } }), h("b", { css: { left: `${share(gain.value)}%` } }));
}

/** `at`: where what became of a change is said, if not below the task; `after`: called once it was made. */
export function taskView(task, meta, { top = task.gain.high, at = null, after = () => {} } = {}) {
  const note = at ?? h("div", { role: "status" });
  const act = (label, path) => h("button", { type: "button", class: "button", onclick: async () => {
    const done = await withToken(() => post(path, { task_id: task.task_id }), note);
    if (done) { fill(note, h("div", { class: "alarm good" }, h("p", {}, `${task.title || task.item_id}, ${task.kind}: the task is now ${done.state}.`))); after(); }
  } }, label);
  const action = !meta.may_write ? null : task.state === "open" ? act("Take back", "/api/withdraw") : ["withdrawn", "too old"].includes(task.state) ? act("Ask again", "/api/reopen") : null;
  return h("article", { class: "task" },
    h("div", { class: "task-top" },
      h("div", {}, h("span", { class: "badge" }, task.kind), " ", h("a", { class: "title", href: `#/people?${new URLSearchParams({ item: task.item_id })}` }, task.title || task.item_id)),
      h("span", { class: "gain" }, `+${fixed(task.gain.value, 1)} `, term(task.gain.metric, "gain"))),
    h("div", { class: "row small muted" }, h("span", { class: `badge ${STATES[task.state] ?? ""}` }, task.state), h("span", {}, `for ${task.audience}`), task.locale ? h("span", {}, task.locale) : null,
      h("span", {}, `${fixed(task.gain.low, 1)} to ${fixed(task.gain.high, 1)} in nine of ten cases`), task.not_after_ms ? h("span", {}, `until ${when(task.not_after_ms).slice(0, 10)}`) : null),
    interval(task.gain, top),
    task.why.length || task.evidence.length ? h("details", {}, h("summary", {}, "Evidence"), h("div", { class: "why-list" }, task.why.length ? task.why.map((line) => h("p", {}, line)) : h("pre", { class: "bytes" }, JSON.stringify(task.evidence, null, 1)))) : null,
    task.asset ? assetView(task.asset) : null, action ? h("div", { class: "row" }, action) : null, at ? null : note);
}
