"""HAProxy's configuration of a load balancer, and the health read from its statistics."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from localcloud.backend import LoadBalancerSpec
from localcloud.machines.haproxy import config, quoted, servers

CHECK: dict[str, Any] = {"protocol": "tcp", "port": 5432, "interval": 15, "timeout": 10, "retries": 3, "http": None}
TCP: dict[str, Any] = {
    "protocol": "tcp", "listen_port": 5432, "destination_port": 5433, "proxyprotocol": True, "http": None,
    "health_check": CHECK,
}  # fmt: skip
HTTP = {
    "sticky_sessions": True, "cookie_name": "S", "cookie_lifetime": 300, "timeout_idle": 60, "certificates": [7],
    "redirect_http": True,
}  # fmt: skip
HEALTH = {
    "domain": "a.example.org",
    "path": "/x?y=$z",
    "response": 'say "ok"',
    "status_codes": ["2??", "404"],
    "tls": True,
}
HTTPS: dict[str, Any] = {
    **TCP, "protocol": "https", "listen_port": 443, "proxyprotocol": False, "http": HTTP,
    "health_check": {**CHECK, "protocol": "http", "http": HEALTH},
}  # fmt: skip
SPEC = LoadBalancerSpec(
    1, "lb", "fsn1", "198.51.100.10", None, "96:01:00:00:00:01", (), "least_connections", (TCP, HTTPS),
    ("10.0.0.2", "2001:db8::1"), {7: "pem"}, 10000,
)  # fmt: skip


def _section(text: str, name: str) -> list[str]:
    body = re.split(rf"^{name}$", text, flags=re.MULTILINE)[1]
    return [line.strip() for line in re.split(r"^\S", body.lstrip("\n"), flags=re.MULTILINE)[0].splitlines()]


def test_tcp() -> None:
    text = config(SPEC, "/run/s", "/c", bind6=False)
    assert _section(text, "frontend f5432") == ["mode tcp", "bind *:5432", "default_backend b5432"]
    backend = _section(text, "backend b5432")
    assert backend[:2] == ["mode tcp", "balance leastconn"]
    assert "server 10.0.0.2 10.0.0.2:5433 check port 5432 inter 15s fall 3 rise 1 send-proxy" in backend
    assert any(line.startswith("server 2001:db8::1 [2001:db8::1]:5433 ") for line in backend)


def test_https() -> None:
    text = config(SPEC, "/run/s", "/c", bind6=True)
    assert "bind :::443 v4v6 ssl crt /c/7.pem alpn h2,http/1.1" in _section(text, "frontend f443")
    assert "http-request redirect scheme https code 301" in _section(text, "frontend r443")
    backend = _section(text, "backend b443")
    assert 'http-check send meth GET uri "/x?y=\\$z" ver HTTP/1.1 hdr Host "a.example.org"' in backend
    assert 'http-check expect rstatus "^(2..|404)\\$"' in backend
    assert 'http-check expect string "say \\"ok\\""' in backend
    assert any("check-ssl verify none cookie 10.0.0.2" in line for line in backend)
    assert any(line.startswith('cookie "S" insert') for line in backend)


def test_an_https_service_waits_for_its_certificate() -> None:
    assert "frontend f443" not in config(replace(SPEC, certificates={}), "/s", "/c", bind6=False)
    assert quoted("a\\b") == '"a\\\\b"'


def test_the_host_may_allow_fewer_connections() -> None:
    assert "  maxconn 10000\n" in config(SPEC, "/s", "/c", bind6=False)
    assert "  maxconn 9750\n" in config(SPEC, "/s", "/c", bind6=False, files=20000)


def test_health() -> None:
    stats = "# pxname,svname,status,check_status\n" + "".join(
        f"{line}\n" for line in (
            "f80,FRONTEND,OPEN,", "b80,10.0.0.2,UP,L7OK", "b80,10.0.0.3,DOWN,L4CON", "b80,10.0.0.4,UP,INI",
            "b80,2001:db8::1,UP 1/3,* L7STS", "b80,BACKEND,UP,",
        )
    )  # fmt: skip
    assert servers(stats) == {
        ("10.0.0.2", 80): "healthy", ("10.0.0.3", 80): "unhealthy", ("10.0.0.4", 80): "unknown",
        ("2001:db8::1", 80): "healthy",
    }  # fmt: skip
    assert servers("") == {}
