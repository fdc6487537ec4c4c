"""HAProxy's side of a load balancer: its configuration as text, and the health of targets from its statistics. Pure."""

from __future__ import annotations

import csv
import io
from typing import Any

from localcloud.backend import LoadBalancerSpec

ALGORITHMS = {"round_robin": "roundrobin", "least_connections": "leastconn"}
Service = dict[str, Any]


def quoted(text: str) -> str:
    """A word of the configuration, whatever printable characters it has."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def config(spec: LoadBalancerSpec, socket: str, certificates: str, bind6: bool, files: int = 2**20) -> str:
    """The configuration file. `certificates` is the folder with ID.pem; `bind6`: listen on IPv6 too.

    `files`: how many the process may open. A connection takes two; HAProxy refuses to start if that is too few.
    """
    lines = [
        "global",
        f"  maxconn {max(100, min(spec.max_connections, (files - 500) // 2))}",
        f"  stats socket {socket} mode 600 level user",
        "  hard-stop-after 30s",
        "  user haproxy",
        "  group haproxy",
        "  ssl-default-bind-options ssl-min-ver TLSv1.2",
        "defaults",
        "  timeout connect 5s",
        "  timeout client 60s",
        "  timeout server 60s",
        "  option redispatch",
    ]
    for service in spec.services:
        lines += _frontend(spec, service, certificates, bind6) + _backend(spec, service)
    return "\n".join(lines) + "\n"


def _bind(port: int, bind6: bool, more: str = "") -> str:
    return f"  bind {':::' if bind6 else '*:'}{port}{' v4v6' if bind6 else ''}{more}"


def _frontend(spec: LoadBalancerSpec, service: Service, certificates: str, bind6: bool) -> list[str]:
    port, http = service["listen_port"], service["http"]
    tls = ""
    if service["protocol"] == "https":
        files = [f"{certificates}/{i}.pem" for i in http["certificates"] if i in spec.certificates]
        if not files:
            return []  # a managed certificate that is not issued yet: nothing to listen with
        tls = " ssl " + " ".join(f"crt {file}" for file in files) + " alpn h2,http/1.1"
    lines = [f"frontend f{port}", f"  mode {'http' if http else 'tcp'}", _bind(port, bind6, tls)]
    if http:
        lines += [
            f"  timeout client {http['timeout_idle']}s",
            "  option forwardfor",
            f"  http-request set-header X-Forwarded-Proto {service['protocol']}",
            f"  http-request set-header X-Forwarded-Port {port}",
        ]
    lines.append(f"  default_backend b{port}")
    if http and http["redirect_http"]:
        lines += [f"frontend r{port}", "  mode http", _bind(80, bind6), "  http-request redirect scheme https code 301"]
    return lines


def _backend(spec: LoadBalancerSpec, service: Service) -> list[str]:
    port, http, check = service["listen_port"], service["http"], service["health_check"]
    lines = [f"backend b{port}", f"  mode {'http' if http else 'tcp'}", f"  balance {ALGORITHMS[spec.algorithm]}"]
    if http:
        lines.append(f"  timeout server {http['timeout_idle']}s")
        if http["sticky_sessions"]:
            name, life = quoted(http["cookie_name"]), http["cookie_lifetime"]
            lines.append(f"  cookie {name} insert indirect nocache httponly maxlife {life}s attr Max-Age={life}")
    lines += _check(check, spec.ipv4 or (spec.nics[0].ip if spec.nics else spec.name))
    words = f"check port {check['port']} inter {check['interval']}s fall {check['retries']} rise 1"
    if check["http"] and check["http"]["tls"]:
        words += " check-ssl verify none"
    if service["proxyprotocol"]:
        words += " send-proxy"  # and so do the checks, unless their port is another
    for ip in spec.targets:
        where = f"[{ip}]" if ":" in ip else ip
        cookie = f" cookie {ip.replace(':', '-')}" if http and http["sticky_sessions"] else ""
        lines.append(f"  server {ip} {where}:{service['destination_port']} {words}{cookie}")
    return lines


def _check(check: dict[str, Any], own: str) -> list[str]:
    """How targets are asked. `own` is the Host header without a domain: many servers refuse HTTP/1.1 without one."""
    lines = [f"  timeout check {check['timeout']}s"]
    http = check["http"]
    if http:
        host = quoted(http["domain"] or own)
        codes = "|".join(code.replace("?", ".") for code in http["status_codes"])
        lines += [
            "  option httpchk",
            f"  http-check send meth GET uri {quoted(http['path'])} ver HTTP/1.1 hdr Host {host}",
            f"  http-check expect rstatus {quoted(f'^({codes})$')}",
        ]
        if http["response"]:
            lines.append(f"  http-check expect string {quoted(http['response'])}")
    return lines


def servers(stats: str) -> dict[tuple[str, int], str]:
    """(target address, listen port) -> health, from what `show stat` answers."""
    found = {}
    for row in csv.DictReader(io.StringIO(stats.removeprefix("# "))):
        if row["pxname"].startswith("b") and row["svname"] != "BACKEND":
            found[row["svname"], int(row["pxname"][1:])] = _health(row["status"] or "", row["check_status"] or "")
    return found


def totals(stats: str) -> dict[str, float]:
    """Counters of all services together, from what `show stat` answers; empty if that is nothing."""
    columns = {
        "open_connections": "scur", "connections_per_second": "stot", "requests_per_second": "req_tot",
        "bandwidth.in": "bin", "bandwidth.out": "bout",
    }  # fmt: skip
    rows = [row for row in csv.DictReader(io.StringIO(stats.removeprefix("# "))) if row["svname"] == "FRONTEND"]
    return {name: sum(float(row[column] or 0) for row in rows) for name, column in columns.items()} if rows else {}


def _health(status: str, check: str) -> str:
    """HAProxy takes a server for up until its first check has ended; Hetzner calls that unknown."""
    if check.lstrip("* ") in ("", "INI", "UNK"):
        return "unknown"
    return "healthy" if status.startswith("UP") else "unhealthy"
