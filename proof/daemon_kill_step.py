"""What a step of `make proof-daemon-kills` is, and short ways to write one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A call, the command of the action behind it, and what must hold afterwards.

    {name} in `path`, `check` and texts of `body` stands for the id that an earlier step saved. `check`: a path whose
    answer must have these values at these dotted keys ("~": no such object). `save`: name for the id of what was made.
    """

    command: str
    method: str
    path: str
    body: Body | None = None
    check: str = ""
    want: tuple[tuple[str, Any], ...] = ()
    save: str = ""


SERVER: Body = {"server_type": "cx23", "image": "debian-13", "location": "fsn1"}
GONE: tuple[tuple[str, Any], ...] = (("~", None),)
SUBNET: Body = {"type": "cloud", "ip_range": "10.8.1.0/24", "network_zone": "eu-central"}
SERVICE: Body = {"protocol": "tcp", "listen_port": 80, "destination_port": 22, "proxyprotocol": False}
RULE: Body = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"]}


def post(command: str, kind: str, verb: str, body: Body | None = None, *want: tuple[str, Any]) -> Step:
    """An action on the object that was saved under the name of its kind."""
    name = kind.removesuffix("2")
    return Step(command, "POST", f"/{name}s/{{{kind}}}/actions/{verb}", body or {}, f"/{name}s/{{{kind}}}",
                tuple((f"{name}.{key}", value) for key, value in want))  # fmt: skip


def make(kind: str, command: str, body: Body, *want: tuple[str, Any], save: str = "") -> Step:
    save = save or kind
    return Step(command, "POST", f"/{kind}s", {"name": f"k-{save}", **body}, f"/{kind}s/{{{save}}}",
                tuple((f"{kind}.{key}", value) for key, value in want), save)  # fmt: skip


def drop(kind: str, command: str) -> Step:
    name = kind.removesuffix("2")
    return Step(command, "DELETE", f"/{name}s/{{{kind}}}", None, f"/{name}s/{{{kind}}}", GONE)


def protect(kind: str, *keys: str) -> list[Step]:
    return [
        post("change_protection", kind, "change_protection", dict.fromkeys(keys, on), ("protection.delete", on))
        for on in (True, False)
    ]
