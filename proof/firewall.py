"""`make proof-firewall`: firewall rules x packets on real machines, expected and measured, over IPv4 and IPv6.

Three machines: `web` is behind the firewalls, `peer` (in a private network with it) and `other` send, as does the host
from outside of the cloud. Every packet passes the path that a client's would.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from hcloud.firewalls.domain import FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.networks import NetworkSubnet
from hcloud.servers import BoundServer, Server

from ops.engine import OperatorError
from ops.show import json_line, say, table
from proof.cloud_rig import CloudRig, number_of, rig
from proof.entry import finish
from proof.firewall_cases import CASES, OUT, PRIVATE, Case, expected

PRIVATE_IPS = {"web": "10.9.1.2", "peer": "10.9.1.3"}
HELD = [("tcp", "2222"), ("udp", "5000")]
Row = tuple[str, str, str, str, str, str]  # case, from, packet, family, expected, measured


class Proof:
    """The machines, and the rows of the table."""

    def __init__(self, cloud: CloudRig) -> None:
        self.cloud, self.rows = cloud, list[Row]()
        subnet = NetworkSubnet(ip_range="10.9.1.0/24", type="cloud", network_zone="eu-central")
        network = cloud.client.networks.create("n", "10.9.0.0/16", subnets=[subnet])
        self.servers = {name: cloud.server(name, labels={"name": name}) for name in ("web", "peer", "other")}
        for name, ip in PRIVATE_IPS.items():
            self.servers[name].attach_to_network(network, ip=ip).wait_until_finished(60)
        cloud.wait_addresses(*self.servers.values())
        self.listeners = [self._listener(server) for server in self.servers.values()]

    def _listener(self, server: BoundServer) -> subprocess.Popen[str]:
        child = subprocess.Popen(self.cloud.command(server, "listen"), stdout=subprocess.PIPE, text=True)
        if child.stdout is None or child.stdout.readline() != "ready\n":
            raise OperatorError("the listener did not start")
        return child

    def close(self) -> None:
        for child in self.listeners:
            child.kill()
            child.wait()

    def address(self, name: str, family: str) -> str:
        if family == PRIVATE:
            return PRIVATE_IPS[name]
        return self.cloud.public(self.servers[name])[family == "IPv6"]

    def rules(self, case: Case) -> list[list[FirewallRule]]:
        """The case's firewalls, with the machines' addresses in place of their names."""
        names = {f"{name}{v}": self.address(name, f"IPv{v}") for name in self.servers for v in (4, 6)}
        filled = [
            [{**rule, "ips": [ip.format(**names) for ip in rule["ips"]]} for rule in rules] for rules in case.firewalls
        ]
        return [[_rule(rule) for rule in rules] for rules in filled]

    @contextmanager
    def firewalls(self, case: Case) -> Iterator[None]:
        """Put the case's firewalls before `web`, take them away after."""
        made = []
        for number, rules in enumerate(self.rules(case)):
            where = FirewallResource("server", server=Server(number_of(self.servers["web"])))
            if case.selector:
                where = FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector("name=web"))
            answer = self.cloud.client.firewalls.create(f"f{number}", rules, resources=[where])
            made.append((answer.firewall, where))
            for action in answer.actions or []:
                action.wait_until_finished(30)
        try:
            yield
        finally:
            for firewall, where in made:
                for action in firewall.remove_from_resources([where]):
                    action.wait_until_finished(30)
                firewall.delete()

    def measure(self, case: Case) -> None:
        """All packets under one case."""
        with self.firewalls(case), ThreadPoolExecutor(len(case.sources)) as pool:
            for rows in pool.map(lambda source: self._from(case, source), case.sources):
                self.rows += rows

    def _from(self, case: Case, source: str) -> list[Row]:
        sender = self.servers.get("web" if source.startswith(OUT) else source)
        target = source.removeprefix(OUT) if source.startswith(OUT) else "web"
        families = ["IPv4", "IPv6", *([PRIVATE] if {source.removeprefix(OUT), target} & {"peer"} else [])]
        wanted = [(family, packet) for family in families for packet in case.packets]
        packets = [[protocol, self.address(target, family), port] for family, (_, protocol, port) in wanted]
        found = json.loads(self.cloud.run(sender, "send", text=json.dumps(packets)))
        where = f"{source.removeprefix(OUT)} <- web" if source.startswith(OUT) else f"{source} -> web"
        return [
            (case.name, where, packet[0], family, expected(case, source, family, packet[0]), result)
            for (family, packet), result in zip(wanted, found, strict=True)
        ]

    def held(self) -> None:
        """Connections from before a change live on, new ones are not made; IPv4 and IPv6, TCP and UDP."""
        open_case = Case("all open", ({"d": "in", "p": "tcp", "port": "any", "ips": ["0.0.0.0/0", "::/0"]},))
        rules = [*open_case.firewalls[0], {**open_case.firewalls[0][0], "p": "udp"}]
        ways = [
            (source, family, held) for source in ("outside", "peer") for family in ("IPv4", "IPv6") for held in HELD
        ]
        with self.firewalls(Case("held", tuple(rules))):
            links = [self._hold(source, family, *held) for source, family, held in ways]
            (firewall,) = self.cloud.client.firewalls.get_all()
            for step, change in (("rules removed", []), ("other rules", [{"d": "in", "p": "icmp", "ips": ["::/0"]}])):
                for action in firewall.set_rules([_rule(rule) for rule in change]):
                    action.wait_until_finished(30)
                self._look(step, ways, links)
        self._look("firewall removed", ways, links)
        for link in links:
            link.kill()
            link.wait()

    def _hold(self, source: str, family: str, protocol: str, port: str) -> subprocess.Popen[str]:
        command = self.cloud.command(self.servers.get(source), "hold", protocol, self.address("web", family), port)
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if child.stdout is None or child.stdout.readline() != "held\n" or _ask(child) != "open":
            raise OperatorError(f"no {protocol} connection from {source} over {family}")
        return child

    def _look(
        self, step: str, ways: list[tuple[str, str, tuple[str, str]]], links: list[subprocess.Popen[str]]
    ) -> None:
        for (source, family, (protocol, port)), link in zip(ways, links, strict=True):
            again = json.dumps([[protocol, self.address("web", family), int(port)]])
            new = json.loads(self.cloud.run(self.servers.get(source), "send", text=again))[0]
            wanted = "open" if step == "firewall removed" else "dropped"
            where, packet = f"{source} -> web", f"{protocol} {port}"
            self.rows.append((f"held: {step}", where, f"{packet}, open before", family, "open", _ask(link)))
            self.rows.append((f"held: {step}", where, f"{packet}, new", family, wanted, new))


def _ask(child: subprocess.Popen[str]) -> str:
    if child.stdin is None or child.stdout is None:
        return "gone"
    child.stdin.write("\n")
    return child.stdout.readline().strip()


def _rule(rule: Mapping[str, object]) -> FirewallRule:
    ips, port = rule["ips"], rule.get("port")
    port = "1-65535" if port == "any" else port
    sides = (
        {"source_ips": ips, "destination_ips": []} if rule["d"] == "in" else {"source_ips": [], "destination_ips": ips}
    )
    return FirewallRule(direction=str(rule["d"]), protocol=str(rule["p"]), port=port, **sides)  # type: ignore[arg-type]


def summary(rows: list[Row]) -> list[tuple[str, str, str, str, str]]:
    """One line per case, way and family: what gets through (measured), and how many are not as expected."""
    lines: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        lines.setdefault((row[0], row[1], row[3]), []).append(row)
    found = []
    for (case, where, family), group in lines.items():
        through = [row[2] for row in group if row[5] == "open"]
        bad = [f"{row[2]}: {row[5]}, not {row[4]}" for row in group if row[4] != row[5]]
        text = "all" if len(through) == len(group) else ", ".join(through) or "nothing"
        found.append(
            (
                case,
                where,
                family,
                "; ".join(bad) or "as expected",
                text.replace("tcp 2222, tcp 8080, tcp 8081, tcp 8082", "all tcp"),
            )
        )
    return found


def main() -> int:
    """Measure everything; 1 when a packet fared otherwise than expected."""
    with rig() as cloud:
        proof = Proof(cloud)
        try:
            cloud.router("forget")  # machines before these had their addresses
            for case in CASES:
                proof.measure(case)
                say(f"{case.name}: measured")
            proof.held()
        except OperatorError as problem:
            say(str(problem))
            proof.rows.append(("held", "", str(problem), "", "open", "failed"))
        finally:
            proof.close()
    lines = summary(proof.rows)
    print(table(["firewall", "packets", "over", "verdict", "lets through"], lines))
    bad = [row for row in proof.rows if row[4] != row[5]]
    print(f"\n{len(proof.rows)} packets, {len(bad)} not as expected")
    names = ("firewall", "packets", "packet", "over", "expected", "measured")
    json_line({"packets": len(proof.rows), "bad": [dict(zip(names, row, strict=True)) for row in bad]})
    return 1 if bad else 0


if __name__ == "__main__":
    finish(main)
