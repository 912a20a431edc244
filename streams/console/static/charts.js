// Lines over time or events, with bands; a thin shell around uPlot that follows size and theme.
import { h, say } from "./dom.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const open = new Set();

/**
 * lines: [{label, color: "--model", band: bool}]; a line with a band takes three columns: mean, low, high.
 * xText, yText: number -> text; tell: (index) -> text under the chart, for the pointer's place.
 */
export function lineChart({ lines, label, xText, yText, tell, low = false, fromZero = true }) {
  const box = h("div", { class: low ? "chart low" : "chart", role: "img", "aria-label": label });
  const readout = h("p", { class: "readout" });
  let plot = null, data = null;

  function options(width, height) {
    const series = [{}], bands = [];
    for (const line of lines) {
      const color = css(line.color);
      series.push({ label: line.label, stroke: color, width: line.width ?? 2, points: { show: false } });
      if (line.band) {
        for (const edge of ["low", "high"]) series.push({ label: `${line.label} ${edge}`, stroke: "transparent", width: 0, points: { show: false } });
        bands.push({ series: [series.length - 1, series.length - 2], fill: `${color}${line.fade ?? "22"}` });
      }
    }
    const axis = { stroke: css("--muted"), font: "12px system-ui, sans-serif", grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
    return {
      width, height, series, bands, legend: { show: false }, padding: [8, 24, 0, 0],
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: { x: { time: false }, y: { range: (_, min, max) => [fromZero ? 0 : min, max > 0 ? max * 1.08 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, values: (_, ticks) => ticks.map(xText), space: 70, size: 28 },
        { ...axis, values: (_, ticks) => ticks.map(yText), size: 52, space: 38 },
      ],
      hooks: { setCursor: [(self) => say(readout, self.cursor.idx === null || self.cursor.idx === undefined ? "" : tell(self.cursor.idx))] },
    };
  }

  function draw() {
    if (!data || !data[0].length || !box.isConnected) return;
    const width = box.clientWidth, height = box.clientHeight;
    if (!width) return;
    if (plot) plot.setData(data);
    else plot = new window.uPlot(options(width, height), data, box);
  }
  function again() {
    if (plot) { plot.destroy(); plot = null; }
    draw();
  }
  const sizes = new ResizeObserver(() => { if (plot) plot.setSize({ width: box.clientWidth, height: box.clientHeight }); else draw(); });
  sizes.observe(box);
  const chart = {
    node: h("figure", {}, box, readout),
    set(columns) { data = columns; draw(); },
    name(text) { box.setAttribute("aria-label", text); },
    again,
    close() { sizes.disconnect(); if (plot) plot.destroy(); open.delete(chart); },
  };
  open.add(chart);
  return chart;
}

/** After a change of theme. */
export const redrawAll = () => open.forEach((chart) => chart.again());
