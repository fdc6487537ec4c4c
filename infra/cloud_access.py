"""What each cloud asks of a stack's config before anything else: its token, and the object store's keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from infra import checks
from infra.config_reader import OBJECT_STORE_KEYS, Reader


@dataclass(frozen=True)
class Token:
    """A cloud's API token: its config key, the environment variables that may hold it, and the check of its form."""

    key: str
    environment: tuple[str, ...]
    check: Callable[[str], str]


@dataclass(frozen=True)
class Access:
    """`token` is None where the cloud's own credential chain is used (AWS: environment, profile, single sign-on).

    `keys` are the object store's keys that the config must hold; the others are made by the program, or not needed.
    """

    token: Token | None
    keys: tuple[str, ...]


ACCESS: Mapping[str, Access] = {
    "hetzner": Access(Token("hcloud:token", ("HCLOUD_TOKEN",), checks.hcloud_token), OBJECT_STORE_KEYS),
    "digitalocean": Access(
        Token("digitalocean:token", ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"), checks.digitalocean_token),
        ("bucketAccessKey", "bucketSecretKey"),  # the node's key is made by the program
    ),
    "docker": Access(None, ()),  # a socket, or SSH with the operator's own keys
    "aws": Access(None, ()),  # the operator's own credentials, and the machine's role
}
NOTHING = Access(None, ())


def of(cloud: str) -> Access:
    """What `cloud` asks for; nothing where it is not listed."""
    return ACCESS.get(cloud, NOTHING)


def token(read: Reader, cloud: str, environ: Mapping[str, str], encrypted: Collection[str] | None) -> str:
    """The token of `cloud`, "" where it has none; notes a missing, malformed or unencrypted one."""
    wanted = of(cloud).token
    if wanted is None:
        return ""
    configured = read.config.get(wanted.key, "")
    value = configured or next((environ[name] for name in wanted.environment if environ.get(name)), "")
    if not value:
        names = " or ".join(wanted.environment)
        command = f"pulumi config set --secret {wanted.key} --stack {read.stack}"
        read.note(wanted.key, "missing", f"set {names}, or run: {command}")
        return ""
    if configured and encrypted is not None and wanted.key not in encrypted:
        read.note(wanted.key, "(not shown)", f"is not encrypted; run: pulumi config set --secret {wanted.key}")
    return read.checked(wanted.key, f"(secret of {len(value)} characters)", value, wanted.check, "")
