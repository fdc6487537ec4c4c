"""Checks of single config values: raw value in, clean value out, or BadValueError with the remedy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from infra import keys

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ABSURD = 1_000_000_000
SINGLE_SERVER_LIMIT = 100_000  # conversations; from there on the guide asks for a cluster

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_API_KEY = re.compile(r"sk-sekha-[A-Za-z0-9_-]{32,}")
_KEY_TYPES = r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com"
_PUBLIC_KEY = re.compile(rf"({_KEY_TYPES}) AAAA[A-Za-z0-9+/]+=*( .*)?")


class BadValueError(Exception):
    """A value that can't be used; the message is the remedy, without key and value."""


def known(what: str, names: Collection[str], value: str) -> str:
    """`value` if it is one of `names`; the remedy names the nearest and all of them."""
    if value in names:
        return value
    near = get_close_matches(value, list(names), 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BadValueError(f"unknown {what}; {hint}known: {', '.join(sorted(names))}")


def stack_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", value) or value.endswith("-"):
        raise BadValueError("is no stack name; use up to 32 of a-z 0-9 - (it becomes part of host names)")
    return value


def docker_host(value: str) -> str:
    """The address of a Docker engine: a socket here, SSH, or TCP on loopback (whoever reaches plain TCP is root)."""
    parts = urlsplit(value)
    if (parts.scheme == "unix" and parts.path.startswith("/")) or (parts.scheme == "ssh" and parts.hostname):
        return value
    if parts.scheme == "tcp" and parts.hostname in LOOPBACK:
        return value
    raise BadValueError("must be unix:///var/run/docker.sock or ssh://user@host (tcp:// only on loopback)")


def image(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][\w./:@-]{0,254}", value):
        raise BadValueError("is no image reference; write e.g. postgres:17-trixie@sha256:...")
    return value


def conversations(value: int) -> int:
    if value < 1:
        raise BadValueError(
            f"must be at least 1; give what the service shall hold, e.g. 20000 (up to {SINGLE_SERVER_LIMIT - 1})"
        )
    if value > ABSURD:
        raise BadValueError(f"is beyond anything this can plan; give a number from 1 to {SINGLE_SERVER_LIMIT - 1}")
    if value >= SINGLE_SERVER_LIMIT:
        raise BadValueError(
            f"needs a cluster, which this version plans (make costs CONVERSATIONS={value}) but does not build; "
            f"use at most {SINGLE_SERVER_LIMIT - 1} (one server)"
        )
    return value


def between(low: int, high: int, unit: str) -> Callable[[int], int]:
    """A check that an integer is within [low, high]; `unit` is named in the remedy."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise BadValueError(f"must be from {low} to {high} {unit}")
        return value

    return check


def cidr(value: str) -> str:
    """A network in CIDR form without host bits; a bare address is refused with the /32 (or /128) to write."""
    try:
        return str(ipaddress.ip_network(value)) if "/" in value else _bare_address(value)
    except ValueError:
        try:
            right = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise BadValueError("is no network; write it as ADDRESS/BITS, e.g. 203.0.113.7/32") from None
        raise BadValueError(
            f"has host bits set; write {right}, or the single address with /{right.max_prefixlen}"
        ) from None


def _bare_address(value: str) -> str:
    address = ipaddress.ip_address(value)
    raise BadValueError(f"is an address without bits; write {address}/{address.max_prefixlen}")


def domain(value: str) -> str:
    """A fully qualified DNS name in lower case, or "" for none."""
    if not value:
        return ""
    name = value.rstrip(".").lower()
    labels = name.split(".")
    wellformed = len(name) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    if not wellformed or len(labels) < 2 or labels[-1].isdigit():
        raise BadValueError(
            "is no domain name; write sekha.example.com (no scheme, port, path, wildcard), or leave it empty"
        )
    return name


def dns_zone(value: str, name: str) -> str:
    """The zone that `name` (the stack's domain) is in, or "" for none."""
    zone = domain(value)
    if zone and not (name == zone or name.endswith(f".{zone}")):
        raise BadValueError(
            "is not the zone of sekha:domain; give the domain's last parts, as the cloud's DNS knows them"
        )
    return zone


def email(value: str) -> str:
    if value and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise BadValueError("is no e-mail address; write one the certificate authority can reach, or leave it empty")
    return value


def ssh_public_key(value: str) -> str:
    line = value.strip()
    if not _PUBLIC_KEY.fullmatch(line):
        raise BadValueError("is no OpenSSH public key; give the line of a .pub file, e.g. ~/.ssh/id_ed25519.pub")
    return line


def signer(value: str) -> str:
    """A trusted release signer: an ssh-ed25519 public line, returned without its comment."""
    line = value.strip()
    if not line.startswith("ssh-ed25519 ") or not _PUBLIC_KEY.fullmatch(line):
        raise BadValueError("is no ssh-ed25519 public key; give the line `ssh-ed25519 AAAA...`")
    return " ".join(line.split()[:2])


def api_key(value: str) -> str:
    if not _API_KEY.fullmatch(value):
        raise BadValueError(
            "must be sk-sekha- and at least 32 characters of A-Z a-z 0-9 - _; let `make init` generate it"
        )
    return value


def stack_key(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise BadValueError("must be 64 hexadecimal digits (32 random bytes); let `make init` generate it")
    return value


def signing_key(value: str) -> str:
    try:
        keys.public_key(value)
    except ValueError as error:
        raise BadValueError(f"is {error}; let `make init` generate it") from None
    return value


def hcloud_token(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{64}", value):
        raise BadValueError(
            "must be 64 letters and digits; make one in Hetzner's console (Security, API tokens, read & write)"
        )
    return value


def digitalocean_token(value: str) -> str:
    if not re.fullmatch(r"do[opr]_v1_[0-9a-f]{64}|[0-9a-f]{64}", value):
        raise BadValueError(
            "must be dop_v1_ and 64 hexadecimal digits; make one in DigitalOcean's console (API, tokens)"
        )
    return value


def bucket_name(value: str) -> str:
    if not _BUCKET_NAME.fullmatch(value) or ".." in value:
        raise BadValueError("is no bucket name; use 3 to 63 characters of a-z 0-9 - .")
    return value


def endpoint(value: str) -> str:
    """The URL of an object store: https only, no path."""
    url = urlsplit(value)
    if url.scheme != "https" or not url.hostname or url.path not in ("", "/") or url.query or url.username:
        raise BadValueError("must be an https URL without a path, e.g. https://fsn1.your-objectstorage.com")
    return value.rstrip("/")


def cloud_endpoint(value: str) -> str:
    """The URL of a cloud's API: https, or http on this machine's loopback, because the token travels on it."""
    url = urlsplit(value)
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)):
        raise BadValueError("must be an https URL, e.g. https://api.hetzner.cloud/v1; http only on 127.0.0.1")
    return value


def readable_file(value: str) -> str:
    if value and not Path(value).is_file():
        raise BadValueError("is no readable file; give the PEM of the authority that signed the endpoint's certificate")
    return value
