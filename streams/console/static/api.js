// Asks the console's own server, and nobody else. The token lives in memory alone and goes with changes only.
let token = "";
export const hasToken = () => token !== "";
export const setToken = (text) => { token = text; };

async function read(response) {
  let told = {};
  try { told = await response.json(); } catch { /* an answer without words */ }
  if (response.ok) return told;
  throw new Error(told.error || `The console answered ${response.status}.`);
}

async function ask(path, options) {
  let response;
  try { response = await fetch(path, { ...options, credentials: "omit" }); } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The console does not answer. It may have been stopped.");
  }
  return read(response);
}

export function get(path, query = {}, signal = undefined) {
  const words = new URLSearchParams(query).toString();
  return ask(words ? `${path}?${words}` : path, { signal });
}

export function post(path, body) {
  return ask(path, {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
  });
}
