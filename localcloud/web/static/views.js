// What is shown of each kind of thing: functions from the state (see localcloud/web/state.py) to elements.
import { badge, dim, facts, h, link, mono, stack, table, tags, time } from "./dom.js";

export const KINDS = [
  ["servers", "Machines", servers],
  ["networks", "Networks", networks],
  ["firewalls", "Firewalls", firewalls],
  ["load_balancers", "Load balancers", balancers],
  ["volumes", "Volumes", volumes],
  ["addresses", "Addresses", addresses],
  ["actions", "Actions", actions],
];

const PAGES = {
  server: "servers", network: "networks", firewall: "firewalls", load_balancer: "load_balancers", volume: "volumes",
  floating_ip: "addresses", primary_ip: "addresses",
};

function named(rows, id, kind) {
  const row = rows.find((entry) => entry.id === id);
  return row ? (kind ? link(kind, id, row.name) : row.name) : `${id}`;
}

const server = (state, id) => (id === null ? null : named(state.servers, id, "servers"));

function status(row) {
  return [badge(row.status), row.locked ? dim(" locked") : null, row.rescue_enabled ? dim(" rescue") : null];
}

function servers(state) {
  const rows = state.servers.map((row) => [
    [link("servers", row.id, row.name), h("div", { class: "dim num" }, `${row.id}`)],
    status(row),
    [row.type, h("div", { class: "dim nowrap" }, `${row.cores} cores, ${row.memory} GB`)],
    stack([mono(row.ipv4), mono(row.ipv6)].filter(Boolean)),
    stack(row.networks.map((nic) => [mono(nic.ip), " ", dim(named(state.networks, nic.id))])),
    [row.image, h("div", { class: "dim" }, row.location)],
    tags(row.labels),
  ]);
  const hint = ["Made by Pulumi, Terraform, hcloud or curl: ", h("code", {}, "eval \"$(bin/localcloud env)\""), " tells them where."];
  return table(["Name", "Status", "Type", "Public", "Private", "Image", "Labels"], rows, ["No machines yet", hint]);
}

function networks(state) {
  const rows = state.networks.map((row) => [
    [row.name, h("div", { class: "dim num" }, `${row.id}`)],
    mono(row.ip_range),
    stack(row.subnets.map((subnet) => [mono(subnet.ip_range), " ", dim(subnet.network_zone)])),
    stack(row.routes.map((route) => mono(`${route.destination} → ${route.gateway}`))),
    stack(row.members.map((member) => [mono(member.ip), " ", dim(member.name)])),
    tags(row.labels),
  ]);
  return table(["Name", "Range", "Subnets", "Routes", "Members", "Labels"], rows, ["No networks"]);
}

function rule(entry) {
  const way = entry.direction === "in" ? `from ${entry.source_ips.join(", ")}` : `to ${entry.destination_ips.join(", ")}`;
  const what = `${entry.direction} ${entry.protocol}${entry.port ? ` ${entry.port}` : ""}`;
  return [mono(what), " ", dim(way), entry.description ? dim(` (${entry.description})`) : null];
}

function firewalls(state) {
  const rows = state.firewalls.map((row) => [
    [row.name, h("div", { class: "dim num" }, `${row.id}`)],
    row.rules.length ? stack(row.rules.map(rule)) : dim("nothing comes in"),
    stack([...row.servers.map((id) => server(state, id)), ...row.selectors.map((text) => dim(`all with ${text}`))]),
    tags(row.labels),
  ]);
  return table(["Name", "Rules", "Applied to", "Labels"], rows, ["No firewalls", "Machines without one are open."]);
}

function target(state, entry) {
  const names = { server: () => server(state, entry.what), ip: () => mono(entry.what), label_selector: () => dim(`all with ${entry.what}`) };
  const inside = entry.targets.map((member) => h("div", {}, target(state, member)));
  return [names[entry.type](), " ", entry.health.map((word) => [badge(word), " "]), inside];
}

function balancers(state) {
  const rows = state.load_balancers.map((row) => [
    [row.name, h("div", { class: "dim num" }, `${row.id}`)],
    [row.type, h("div", { class: "dim" }, row.location)],
    row.public ? mono(row.ipv4) : dim("private"),
    stack(row.services.map((service) => mono(`${service.protocol} ${service.listen_port} → ${service.destination_port}`))),
    stack(row.targets.map((entry) => target(state, entry))),
    tags(row.labels),
  ]);
  return table(["Name", "Type", "Address", "Services", "Targets", "Labels"], rows, ["No load balancers"]);
}

function volumes(state) {
  const rows = state.volumes.map((row) => [
    [row.name, h("div", { class: "dim num" }, `${row.id}`)],
    badge(row.status ?? "available"),
    h("span", { class: "num nowrap" }, `${row.size} GB`),
    row.format,
    row.server === null ? dim("not attached") : server(state, row.server),
    row.location,
    tags(row.labels),
  ]);
  return table(["Name", "Status", "Size", "File system", "Machine", "Location", "Labels"], rows, ["No volumes"]);
}

function addresses(state) {
  const rows = state.addresses.map((row) => [
    mono(row.ip), row.kind, row.name, row.server === null ? dim("nobody's") : server(state, row.server), tags(row.labels),
  ]);
  return table(["Address", "Kind", "Name", "Machine", "Labels"], rows, ["No addresses"]);
}

function resource(part) {
  const text = part.name ?? `${part.type.replaceAll("_", " ")} ${part.id}`;
  const page = part.name ? PAGES[part.type] : null;
  if (!page) return dim(text);
  return page === "servers" ? link(page, part.id, text) : h("a", { href: `#/${page}` }, text);
}

function actionRow(row) {
  const bar = row.status === "running" ? h("div", { class: "bar running", title: `${row.progress} %` }) : null;
  return [
    h("span", { class: "mono" }, row.command),
    stack(row.resources.map(resource)),
    [badge(row.status === "running" ? "starting" : row.status, row.status), bar],
    time(row.started),
    time(row.finished),
    row.error ? h("span", { class: "wrong" }, row.error.message) : null,
  ];
}

const HEADS = ["Action", "Of", "Status", "Started", "Finished", "Error"];

function actions(state) {
  return table(HEADS, state.actions.map(actionRow), ["Nothing has happened yet"]);
}

/** All about one machine but its output. */
export function machine(state, row) {
  return [
    h("div", { class: "title" }, h("h2", {}, row.name), status(row)),
    facts([
      ["Id", `${row.id}`], ["Type", `${row.type}: ${row.cores} cores, ${row.memory} GB, ${row.disk} GB disk`],
      ["Image", row.image], ["Location", row.location], ["IPv4", mono(row.ipv4)], ["IPv6", mono(row.ipv6)],
      ["Private", stack(row.networks.map((nic) => [mono(nic.ip), " ", named(state.networks, nic.id)]))],
      ["Firewalls", stack(row.firewalls.map((id) => named(state.firewalls, id)))],
      ["Volumes", stack(row.volumes.map((id) => named(state.volumes, id)))],
      ["Placement group", row.group], ["Created", time(row.created)], ["Labels", tags(row.labels)],
      ["Protection", Object.keys(row.protection).filter((name) => row.protection[name]).join(", ")],
    ]),
  ];
}

/** The last actions of a machine. */
export function lately(state, row) {
  const own = state.actions.filter((action) => action.resources.some((part) => part.type === "server" && part.id === row.id));
  return [h("h3", {}, "Last actions"), table(HEADS, own.slice(0, 10).map(actionRow), ["Nothing lately"])];
}
