"""Load balancers: a namespace of its own on the public network and in private ones, with HAProxy in it."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
from dataclasses import asdict
from pathlib import Path

from localcloud.backend import LoadBalancerSpec, Nic
from localcloud.machines import addresses as a
from localcloud.machines import haproxy, netns, nics, process, services
from localcloud.machines.paths import Paths
from localcloud.machines.router import ipv6_there
from localcloud.machines.sh import read_json, run, write

START_LIMIT = 10.0  # s for HAProxy to serve a new configuration


def _folder(paths: Paths, balancer_id: int) -> Path:
    return paths.cloud / "balancers" / str(balancer_id)


def _pid(paths: Paths, balancer_id: int) -> Path:
    return paths.run / f"lb-{balancer_id}.pid"


def known(paths: Paths) -> list[LoadBalancerSpec]:
    """All load balancers on record."""
    found = []
    for file in sorted((paths.cloud / "balancers").glob("*/spec.json")):
        data = read_json(file)
        if isinstance(data, dict):
            found.append(_spec(data))
    return found


def _spec(data: dict[str, object]) -> LoadBalancerSpec:
    fields: dict[str, object] = {**data}
    fields["nics"] = tuple(Nic(**nic) for nic in data["nics"])  # type: ignore[attr-defined]
    fields["services"], fields["targets"] = tuple(data["services"]), tuple(data["targets"])  # type: ignore[arg-type]
    fields["certificates"] = {int(key): pem for key, pem in data["certificates"].items()}  # type: ignore[attr-defined]
    return LoadBalancerSpec(**fields)  # type: ignore[arg-type]


def apply(paths: Paths, spec: LoadBalancerSpec) -> None:
    """Make the load balancer what the specification says; repeating it changes nothing."""
    folder = _folder(paths, spec.id)
    (folder / "certificates").mkdir(parents=True, exist_ok=True)
    old = read_json(folder / "spec.json")
    _wire(spec, _spec(old) if isinstance(old, dict) else None)
    write(folder / "spec.json", json.dumps(asdict(spec)), 0o600)  # it holds private keys
    changed = _write_files(folder, spec)
    running = process.load(_pid(paths, spec.id))
    if not spec.services:
        process.stop(_pid(paths, spec.id))
    elif running is None:
        command = [*netns.inside(a.server_ns(spec.id)), "haproxy", "-W", "-f", str(folder / "haproxy.cfg")]
        process.spawn(command, _pid(paths, spec.id), paths.run / f"lb-{spec.id}.log")
        _wait(paths, spec)
    elif changed:
        running.kill(signal.SIGUSR2)
        _wait(paths, spec)


def _wire(spec: LoadBalancerSpec, old: LoadBalancerSpec | None) -> None:
    """Namespace, interfaces, addresses, routes."""
    ns = a.server_ns(spec.id)
    nics.public_up(spec)
    if spec.ipv4:
        netns.batch(ns, [
            f"addr replace {spec.ipv4}/32 dev eth0",
            f"route replace {a.GATEWAY} dev eth0 scope link",
            f"route replace default via {a.GATEWAY} dev eth0 src {spec.ipv4}",
        ])  # fmt: skip
    if spec.ipv6_net and ipv6_there():
        netns.ip(ns, "addr", "replace", spec.ipv6_net.replace("/64", "1/64"), "dev", "eth0")
        netns.ip(ns, "-6", "route", "replace", "default", "via", a.GATEWAY6, "dev", "eth0")
    wanted = {nic.network_id for nic in spec.nics}
    for nic in old.nics if old else ():
        if nic.network_id not in wanted:
            nics.detach(spec.id, nic.network_id)
    for nic in spec.nics:
        nics.attach(spec.id, nic)


def _write_files(folder: Path, spec: LoadBalancerSpec) -> bool:
    """Configuration and certificates; True if any of them is not what it was. BackendError if HAProxy refuses it."""
    changed = False
    certificates = folder / "certificates"
    texts = {certificates / f"{number}.pem": pem for number, pem in spec.certificates.items()}
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    text = haproxy.config(spec, str(folder / "stats"), str(certificates), ipv6_there(), files)
    texts[folder / "haproxy.cfg"] = text
    for file, text in texts.items():
        if not file.exists() or file.read_text() != text:
            write(file, text, 0o600)
            changed = True
    for file in set(certificates.glob("*.pem")) - set(texts):
        file.unlink()
    if changed and spec.services:
        run("haproxy", "-c", "-q", "-f", folder / "haproxy.cfg")
    return changed


def _ask(folder: Path) -> str:
    """What HAProxy answers to `show stat`; empty if it does not."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            connection.connect(str(folder / "stats"))
            connection.sendall(b"show stat\n")
            with connection.makefile("rb") as answer:
                return answer.read().decode()
    except OSError:
        return ""


def health(paths: Paths, balancer_id: int) -> dict[tuple[str, int], str]:
    """(target address, listen port) -> healthy, unhealthy or unknown."""
    return haproxy.servers(_ask(_folder(paths, balancer_id)))


def counters(paths: Paths, balancer_id: int) -> dict[str, float]:
    """What it did, for metrics; empty if HAProxy does not answer."""
    return haproxy.totals(_ask(_folder(paths, balancer_id)))


def _wait(paths: Paths, spec: LoadBalancerSpec) -> None:
    """Return once HAProxy knows exactly the targets and services of the specification."""
    wanted = {(ip, service["listen_port"]) for ip in spec.targets for service in spec.services}
    log = paths.run / f"lb-{spec.id}.log"

    def there() -> bool:
        text = _ask(_folder(paths, spec.id))
        return bool(text) and set(haproxy.servers(text)) == wanted

    services.wait(there, START_LIMIT, f"HAProxy of load balancer {spec.id} (log: {log})")


def remove(paths: Paths, balancer_id: int) -> None:
    """Stop it and remove all of it."""
    process.stop(_pid(paths, balancer_id))
    folder = _folder(paths, balancer_id)
    old = read_json(folder / "spec.json")
    if isinstance(old, dict):
        nics.public_down(_spec(old))
    shutil.rmtree(folder, ignore_errors=True)
