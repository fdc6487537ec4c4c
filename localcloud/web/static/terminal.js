// What a machine says, live: its console or its journal.
import { ask } from "./api.js";
import { h } from "./dom.js";

const EVERY = { console: 1000, journal: 2000 }; // ms between reads
const KEPT = 400000; // characters kept on the page

/** Text without terminal control sequences; a carriage return alone starts the line again. */
export function plain(text) {
  // eslint-disable-next-line no-control-regex
  const sequences = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|[\x00-\x08\x0b\x0c\x0e-\x1f]/g;
  return text.replace(sequences, "").replace(/\r+\n/g, "\n").replace(/[^\n]*\r(?!\n|$)/g, "");
}

/** The element that shows the output `what` ("console", "journal") of a machine, and a function that ends it. */
export function terminal(id, what) {
  const note = h("span", {}, "reading");
  const screen = h("pre", { class: "term", tabindex: "0", "aria-label": `${what} of the machine` });
  const tab = (name, text) => h("a", { href: `#/servers/${id}/${name}`, "aria-current": name === what ? "page" : null }, text);
  const element = h("div", {}, h("div", { class: "tabs" }, tab("console", "Console"), tab("journal", "Journal"), note), screen);
  let next = what === "console" ? "-1" : "";
  let timer = null;
  let ended = false;

  async function read() {
    try {
      const query = what === "console" ? `from=${next}` : `after=${encodeURIComponent(next)}`;
      const { data } = await ask(`data/servers/${id}/${what}?${query}`);
      if (ended) return;
      next = `${data.next}`;
      const bottom = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 30;
      if (data.text) screen.append(plain(data.text));
      if (screen.textContent.length > KEPT) screen.textContent = screen.textContent.slice(-KEPT / 2);
      if (bottom && data.text) screen.scrollTop = screen.scrollHeight;
      note.textContent = screen.textContent ? "live" : "nothing yet";
    } catch (error) {
      if (!ended) note.textContent = error instanceof TypeError ? "the local cloud does not answer" : error.message;
    }
    if (!ended) timer = setTimeout(read, document.hidden ? 5000 : EVERY[what]);
  }
  read();
  return [element, () => { ended = true; clearTimeout(timer); }];
}
