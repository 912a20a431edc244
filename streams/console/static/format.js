// Numbers, times and ids as people read them; a value that is not there is a dash.
export const DASH = "–";
const whole = new Intl.NumberFormat("en");
const isThere = (value) => value !== null && value !== undefined && Number.isFinite(value);

export const count = (value) => (isThere(value) ? whole.format(Math.round(value)) : DASH);
export const fixed = (value, digits) => (isThere(value) ? value.toFixed(digits) : DASH);
export const rate = (value) => (!isThere(value) ? DASH : value >= 10 || value === 0 ? count(value) : value.toFixed(1));

export function short(value) {
  if (!isThere(value)) return DASH;
  if (Math.abs(value) >= 1e9) return `${(value / 1e9).toFixed(1)}G`;
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(value >= 1e5 ? 0 : 1)}k`;
  return count(value);
}

export function seconds(value) {
  if (!isThere(value)) return DASH;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  return value < 172800 ? `${(value / 3600).toFixed(1)} h` : `${Math.round(value / 86400)} days`;
}

export function when(ms) {
  if (!isThere(ms) || ms < -6.2e13 || ms > 8.64e15) return DASH;
  return new Date(ms).toISOString().replace("T", " ").slice(0, 19);
}

export function bytes(value) {
  if (!isThere(value)) return DASH;
  if (value < 1024) return `${value} B`;
  return value < 1048576 ? `${(value / 1024).toFixed(1)} kB` : `${(value / 1048576).toFixed(1)} MB`;
}

export const brief = (text, most = 18) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
