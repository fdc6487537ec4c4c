"""Golden lists: every resource of a single server on each cloud, with everything optional that the cloud offers."""

from __future__ import annotations

from pathlib import Path

from tests.unit.infra import mocked

EVERYTHING: dict[str, object] = {
    "domain": "sekha.example.com", "dnsZone": "example.com", "alertEmail": "ops@example.com",
    "adminCidrs": ["203.0.113.7/32"], "sshPublicKeys": ["ssh-ed25519 AAAAone me"],
}  # fmt: skip


def path(cloud: str) -> Path:
    return Path(__file__).with_name(f"{cloud}.txt")


def listing(cloud: str) -> str:
    """One `kind name` a line, followed by `?` where it takes an optional setting, and by `!` where it is protected."""
    bare = set(mocked.build(cloud).listing())
    lines = []
    for row in mocked.build(cloud, **EVERYTHING).rows:
        line = f"{row.kind} {row.name}"
        lines.append(f"{line}{'' if line in bare else ' ?'}{' !' if row.request.protect else ''}\n")
    return "".join(sorted(lines))
