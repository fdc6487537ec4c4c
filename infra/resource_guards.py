"""What must never happen to a resource, by its type and inputs as the engine sees them. Pure; policy/ and ci/ call it.

infra/guards.py judges settings and plans before anything is registered; this judges what a program really registers,
whoever wrote it. Types and properties: the providers' published schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.guards import ADMIN_PORTS, PUBLIC_PORTS, too_wide

DATA = {
    "hcloud:index/volume:Volume": "volume",
    "pulumi-python:dynamic/sekha:Bucket": "bucket with the backups",
    "digitalocean:index/volume:Volume": "volume",
    "digitalocean:index/spacesBucket:SpacesBucket": "bucket with the backups",
    "digitalocean:index/databaseCluster:DatabaseCluster": "database",
    "aws:ebs/volume:Volume": "volume",
    "aws:s3/bucket:Bucket": "bucket with the backups",
    "aws:s3/bucketV2:BucketV2": "bucket with the backups",
    "aws:rds/instance:Instance": "database",
    "docker:index/volume:Volume": "volume",
}
"""Types that hold data: their deletion or replacement loses it."""

MACHINES = {
    "hcloud:index/server:Server": "serverType",
    "digitalocean:index/droplet:Droplet": "size",
    "aws:ec2/instance:Instance": "instanceType",
    "docker:index/container:Container": "image",
}
"""Machines and the input that says their size."""

ADDRESSES = frozenset(
    ("hcloud:index/primaryIp:PrimaryIp", "digitalocean:index/reservedIp:ReservedIp", "aws:ec2/eip:Eip")
)
"""Public addresses: a new one means DNS records to change, and clients that do not find the service meanwhile."""

PROTECTIONS = {
    "deleteProtection": False,
    "rebuildProtection": False,
    "disableApiTermination": False,
    "deletionProtection": False,
    "forceDestroy": True,
}
"""Inputs that protect, with the value that does not."""

ENCRYPTED = {"aws:ebs/volume:Volume": "encrypted", "aws:rds/instance:Instance": "storageEncrypted"}
"""Types whose encryption is an input that is off by default (the other clouds encrypt without being asked)."""

SIZES = ("size", "volumeSize", "allocatedStorage", "storageSizeMib")


@dataclass(frozen=True, order=True)
class Opening:
    """One inbound permission of a firewall: protocol, port or range ("" for all), source network."""

    protocol: str
    port: str
    source: str

    def __str__(self) -> str:
        return f"{self.protocol}{'/' + self.port if self.port else ''} from {self.source}"


def openings(type_: str, inputs: Mapping[str, Any]) -> frozenset[Opening]:
    """What a firewall, security group or rule of any cloud lets in; nothing for other types."""
    return frozenset(_openings(type_, inputs))


def _openings(type_: str, inputs: Mapping[str, Any]) -> Iterator[Opening]:
    if type_ == "hcloud:index/firewall:Firewall":
        for rule in _rows(inputs, "rules"):
            if rule.get("direction", "in") == "in":
                yield from _each(rule.get("protocol"), rule.get("port"), rule.get("sourceIps"))
    elif type_ == "digitalocean:index/firewall:Firewall":
        for rule in _rows(inputs, "inboundRules"):
            yield from _each(rule.get("protocol"), rule.get("portRange"), rule.get("sourceAddresses"))
    elif type_ == "aws:ec2/securityGroup:SecurityGroup":
        for rule in _rows(inputs, "ingress"):
            sources = [*(rule.get("cidrBlocks") or []), *(rule.get("ipv6CidrBlocks") or [])]
            yield from _each(rule.get("protocol"), _range(rule), sources)
    elif type_ == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
        sources = [source for key in ("cidrIpv4", "cidrIpv6") if (source := inputs.get(key))]
        yield from _each(inputs.get("ipProtocol"), _range(inputs), sources)


def _rows(inputs: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = inputs.get(key)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _range(rule: Mapping[str, Any]) -> str:
    low, high = (str(rule.get(key, "")).removesuffix(".0") for key in ("fromPort", "toPort"))
    if str(rule.get("protocol", rule.get("ipProtocol"))) == "-1":
        return ""
    return low if low == high else f"{low}-{high}"


def _each(protocol: Any, port: Any, sources: Any) -> Iterator[Opening]:
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, str):
            yield Opening(str(protocol or "any"), str(port or ""), source)


def world(opening: Opening) -> bool:
    """Whether nearly the whole internet is let in. A source that is no network (a group's id, not known yet) is not."""
    try:
        return too_wide(opening.source)
    except ValueError:
        return False


def forbidden(opening: Opening) -> str:
    """Why an opening must not be, or "": 80 and 443 and ping for everyone, 22 for narrow networks, nothing else."""
    if opening.protocol.startswith("icmp") or opening.port in PUBLIC_PORTS:
        return ""
    if opening.port not in ADMIN_PORTS:
        return "only 22, 80 and 443 may be open"
    return "SSH must have narrow sources" if world(opening) else ""


def unencrypted(type_: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a resource that holds data is registered without encryption."""
    return type_ in ENCRYPTED and inputs.get(ENCRYPTED[type_]) is not True


def unprotected(inputs: Mapping[str, Any]) -> list[str]:
    """Inputs by which a resource says that it is not protected from deletion."""
    return [name for name, open_ in PROTECTIONS.items() if name in inputs and inputs[name] is open_]


def shrinks(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a disk gets smaller, which no cloud does without losing what is on it."""
    pairs = [(old.get(key), new.get(key)) for key in SIZES]
    return any(isinstance(a, int | float) and isinstance(b, int | float) and b < a for a, b in pairs)
