// Elements made of text, never of markup: names and logs are other people's input.

/** An element `tag` with attributes (or on... listeners) and children; strings become text, null is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A table in a card; or, without rows, what `empty` (title, hint) says. A cell is text, an element or a list. */
export function table(heads, rows, empty) {
  if (!rows.length) return h("div", { class: "card empty" }, h("strong", {}, empty[0]), empty[1] ?? "");
  const cell = (value) => h("td", {}, value === null || value === undefined || value === "" ? dim("–") : value);
  return h(
    "div", { class: "card" },
    h("table", {},
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell))))),
  );
}

/** Facts as a list of names and values; what is empty is left out. */
export function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "card" }, there.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export const dim = (text) => h("span", { class: "dim" }, text);
export const mono = (text) => (text ? h("span", { class: "mono" }, text) : null);
export const stack = (items) => (items.length ? h("span", { class: "stack" }, items.map((item) => h("span", {}, item))) : null);
export const link = (kind, id, text) => h("a", { href: `#/${kind}/${id}` }, text);

const COLOURS = {
  running: "good", success: "good", healthy: "good", available: "good",
  initializing: "wait", starting: "wait", stopping: "wait", rebuilding: "wait", migrating: "wait", deleting: "wait",
  creating: "wait", error: "bad", unhealthy: "bad", unknown: "bad", off: "off",
};

/** A state as a coloured word. */
export function badge(state, text = state) {
  return h("span", { class: `state ${COLOURS[state] ?? "off"}` }, text);
}

/** Labels as `key=value`. */
export function tags(labels) {
  const entries = Object.entries(labels ?? {});
  return entries.length ? entries.map(([key, value]) => h("span", { class: "tag" }, value ? `${key}=${value}` : key)) : null;
}

/** A time of the API in the reader's own zone, as 2026-11-23 16:04:05; of today without the date. */
export function time(text) {
  if (!text) return null;
  const moment = new Date(text);
  const whole = moment.toLocaleString("sv"); // Sweden writes times as ISO 8601 does
  const today = moment.toDateString() === new Date().toDateString();
  return h("time", { datetime: text, title: whole }, today ? whole.slice(11) : whole);
}
