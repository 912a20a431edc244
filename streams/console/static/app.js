// Frame of the console: pages by address, one live stream, light and dark.
import { h, fill, say, failed } from "./dom.js";
import { get } from "./api.js";
import { hideTip } from "./tips.js";
import { redrawAll } from "./charts.js";
import * as now from "./pages/now.js";
import * as people from "./pages/people.js";
import * as studio from "./pages/studio.js";
import * as log from "./pages/log.js";

const PAGES = { now, people, studio, log };
const main = document.getElementById("main"), nav = document.getElementById("nav"), link = document.getElementById("link");
const live = { now: null, curves: null, rates: null, listeners: new Set() };
let meta = { topics: [], may_write: false }, close = null, shown = "";

function place() {
  const [path, query = ""] = location.hash.replace(/^#\//, "").split("?");
  return { name: PAGES[path] ? path : "now", query: new URLSearchParams(query) };
}

function show() {
  const { name, query } = place();
  hideTip();
  if (close) close();
  live.listeners.clear();
  for (const item of nav.children) item.toggleAttribute("aria-current", item.dataset.page === name);
  for (const item of nav.querySelectorAll("[aria-current]")) item.setAttribute("aria-current", "page");
  document.title = `${PAGES[name].title} · Marquee console`;
  try { close = PAGES[name].show(main, { query, meta, live }); } catch (error) { fill(main, failed(error)); }
  if (shown && shown !== name) { main.focus({ preventScroll: true }); window.scrollTo(0, 0); }
  shown = name;
}

function state(word, text) {
  link.dataset.state = word;
  say(link, text);
}

function listen() {
  const source = new EventSource("/api/live");
  const take = (name) => (event) => {
    live[name] = JSON.parse(event.data);
    if (name === "now") state("live", "live");
    for (const listener of live.listeners) listener(name, live[name]);
  };
  source.addEventListener("now", take("now"));
  source.addEventListener("curves", take("curves"));
  source.addEventListener("rates", take("rates"));
  source.addEventListener("error", () => {
    state("lost", "not connected");
    if (source.readyState === EventSource.CLOSED) { source.close(); setTimeout(listen, 3000); } // refused: others are open
  });
  window.addEventListener("pagehide", () => source.close(), { once: true });
}

function theme() {
  const root = document.documentElement, wanted = localStorage.getItem("theme");
  if (wanted) root.dataset.theme = wanted;
  document.getElementById("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    redrawAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
}

async function start() {
  theme();
  nav.append(...Object.entries(PAGES).map(([name, page]) => h("a", { href: `#/${name}`, "data-page": name }, page.title)));
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  try {
    meta = await get("/api/meta");
    const where = meta.prefix ? `${meta.broker}, topics ${meta.prefix}.*` : meta.broker;
    say(document.getElementById("foot"), `Marquee ${meta.version} · ${where} · ${meta.may_write ? "changes need the token" : "read-only"}`);
  } catch (error) { fill(main, failed(error)); }
  window.addEventListener("hashchange", show);
  show();
  listen();
}

start();
