// The page: asks for the state again and again, and draws what the address names (#/KIND, #/servers/ID/console).
import { ask, key, Refused } from "./api.js";
import { h } from "./dom.js";
import { terminal } from "./terminal.js";
import { KINDS, lately, machine } from "./views.js";

const EVERY = 1500; // ms between looks
const $ = (id) => document.getElementById(id);
let state = null;
let tag = null;
let timer = null;
let shown = { route: "", stop: () => {}, element: null };

const route = () => location.hash.replace(/^#\/?/, "").split("/");

function drawFrame() {
  const [kind] = route();
  $("nav").replaceChildren(...KINDS.map(([name, text]) => h(
    "a", { href: `#/${name}`, "aria-current": name === kind ? "page" : null },
    text, h("span", { class: "count" }, name === "actions" ? running() : `${state[name].length}`))));
  $("projects").hidden = state.projects.length < 2;
  $("project").replaceChildren(...state.projects.map((project) => h(
    "option", { value: `${project.id}`, selected: project.id === state.project },
    `${project.name} (${project.servers === 1 ? "1 machine" : `${project.servers} machines`})`)));
}

function running() {
  const count = state.actions.filter((action) => action.status === "running").length;
  return count ? `${count} running` : "";
}

function notices() {
  const texts = [];
  if (state.faults.length) texts.push(`Faults are set (${state.faults.map((fault) => fault.kind).join(", ")}): requests and actions fail on purpose.`);
  if (state.unavailable.length) texts.push(`Sold out: ${state.unavailable.join(", ")}.`);
  return texts.map((text) => h("div", { class: "notice" }, text));
}

/** Draw the view; a machine's output stays the same element while its page is shown, so that nothing scrolls away. */
function draw() {
  const [kind, id, output] = route();
  drawFrame();
  const row = kind === "servers" && id ? state.servers.find((entry) => entry.id === Number(id)) : null;
  const wanted = row ? `${row.id}/${output ?? "console"}` : "";
  if (wanted !== shown.route) {
    shown.stop();
    const [element, stop] = row ? terminal(row.id, output === "journal" ? "journal" : "console") : [null, () => {}];
    shown = { route: wanted, stop, element };
  }
  const view = $("view");
  if (row) {
    const [about, after] = [h("div", {}, notices(), machine(state, row)), h("div", {}, lately(state, row))];
    if (view.children[1] === shown.element) {
      view.firstChild.replaceWith(about);
      view.lastChild.replaceWith(after);
    } else view.replaceChildren(about, shown.element, after);
    document.title = `${row.name} – Local cloud`;
    return;
  }
  const [, title, show] = KINDS.find(([name]) => name === kind) ?? KINDS[0];
  const gone = id && kind === "servers" ? h("div", { class: "notice" }, `Machine ${id} is gone, or in another project.`) : null;
  const plain = kind === "servers" && !state.machines ? h("p", { class: "sub" }, "The API alone (up --no-machines): nothing boots.") : null;
  view.replaceChildren(h("h2", { class: "title" }, title), ...[gone, plain].filter(Boolean), ...notices(), show(state));
  document.title = `${title} – Local cloud`;
}

function live(word, text) {
  $("live").className = `live ${word}`;
  if ($("live").textContent !== text) $("live").textContent = text;
}

function failed(text) {
  live("lost", "not connected");
  $("banner").textContent = text;
  $("banner").hidden = false;
}

function askForKey() {
  clearTimeout(timer);
  shown.stop();
  live("lost", "locked");
  $("nav").replaceChildren();
  $("projects").hidden = $("banner").hidden = true;
  const input = h("input", { name: "key", type: "password", placeholder: "key", autocomplete: "off", "aria-label": "key" });
  const use = (event) => {
    event.preventDefault();
    sessionStorage.setItem("key", input.value.trim().replace(/^.*#/, ""));
    location.hash = "#/servers";
    look();
  };
  $("view").replaceChildren(h(
    "div", { class: "card key" }, h("h2", {}, "Which key?"),
    h("p", { class: "sub" }, "Open the address that ", h("code", {}, "bin/localcloud web"), " prints, or put it here:"),
    h("form", { onsubmit: use }, input, h("button", {}, "Open"))));
  input.focus();
}

async function look() {
  clearTimeout(timer);
  try {
    const project = sessionStorage.getItem("project") ?? "";
    const answer = await ask(`data/state?project=${project}`, tag);
    live("on", "live");
    $("banner").hidden = true;
    if (answer) {
      ({ data: state, tag } = answer);
      draw();
    }
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      tag = null;
      askForKey();
      return;
    }
    const offline = error instanceof TypeError;
    failed(offline ? "The local cloud does not answer; trying again. bin/localcloud up starts it." : error.message);
    if (!(offline || error instanceof Refused)) throw error;
  } finally {
    clearTimeout(timer);
    if (!document.querySelector(".key")) timer = setTimeout(look, document.hidden ? 10000 : EVERY);
  }
}

function theme() {
  const wish = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = wish;
}

$("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  theme();
});
$("project").addEventListener("change", (event) => {
  sessionStorage.setItem("project", event.target.value);
  tag = null;
  location.hash = "#/servers";
  look();
});
addEventListener("hashchange", () => {
  const fresh = /^#[\w-]{16,}$/.test(location.hash);
  key();
  if (fresh || !state) look();
  else draw();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && state) look();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
theme();
if (!location.hash) location.hash = "#/servers";
key();
look();
