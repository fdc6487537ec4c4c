"""Where things are on the machine, what it was told, and the keys derived from the stack's."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sekha_stage0.bucket import PLUG, Keys, connect

ROOT = Path(os.environ.get("SEKHA_DEPLOY_ROOT", "/"))
ETC, RUN, DATA = ROOT / "etc/sekha-deploy", ROOT / "run/sekha-deploy", ROOT / "srv/sekha"
CLUSTERS = DATA / "postgresql/17"
MAIN, RESTORING = CLUSTERS / "main", CLUSTERS / "restoring"  # the cluster that serves; one that is being restored
TRIAL = CLUSTERS / "trial"  # one that is restored only to look at it
RESTORED, FENCED = CLUSTERS / "restored.json", DATA / "fenced.json"
BRANCHED = DATA / "branched.json"  # of which stack key the repository is that went on without the data here
HOLDER = DATA / "holder"  # instance id of the machine that last served the data on this volume
SQLITE = DATA / "sqlite"
DATABASE = SQLITE / "sekha.db"  # the file that serves, where sekha:database is sqlite
CHROMA, CADDY = DATA / "chroma", DATA / "caddy"
STANZA = "sekha"
BINARIES = Path("/usr/lib/postgresql/17/bin")
# What a key is derived for.
CIPHER, FILES, NAME = b"sekha-backup-cipher", b"sekha-backup-files", b"sekha-backup-name"
AGE, COPIES = b"sekha-backup-age", b"sekha-backup-copies"
RECEIPT = b"sekha-backup-receipt"


class RefusedError(Exception):
    """What was asked for must not be done, or can't be; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """An S3 bucket and the key to it, and the stack whose backups are in it."""

    stack: str
    endpoint: str
    region: str
    name: str
    addressing: str
    ca_file: str
    keys: Callable[[], Keys] = field(repr=False)  # access key, secret key, further headers of a request
    temporary: bool  # the keys are the machine's role's, and change: pgBackRest asks for them itself
    stack_key: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """Where in the bucket everything of the stack's backups is."""
        return f"backups/{self.stack}/"

    def named(self, what: str) -> str:
        """The key of something that only this stack key opens: another one (after a rotation) begins beside it."""
        return f"{self.prefix}{what}-{self.key_id}"

    @property
    def key_id(self) -> str:
        """What of the stack key is in names: which one it is, and nothing that opens anything."""
        return self.derived(NAME)[:8]

    def derived(self, purpose: bytes) -> str:
        """A key for one purpose, in hex: HMAC-SHA256 of the purpose under the stack key (RFC 5869's expand step)."""
        return hmac.digest(bytes.fromhex(self.stack_key), purpose, "sha256").hex()


def read(path: Path) -> dict[str, Any]:
    """The JSON object in `path`, {} where there is none."""
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write `text` to `path` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def own_place() -> Place:
    """The stack's own bucket, with the node's key, as stage 0 left them (or as the cloud keeps them)."""
    config, bucket = connect()
    return place(config["stack"], config["bucket"], bucket.keys, config["stack_key"], PLUG.exists())


def place(
    stack: str, bucket: dict[str, Any], keys: Callable[[], Keys], stack_key: str, temporary: bool = False
) -> Place:
    """A Place from a bucket as agent.json describes one."""
    return Place(
        stack, bucket["endpoint"].rstrip("/"), bucket["region"], bucket["name"], bucket["addressing"],
        bucket.get("ca_file") or "", keys, temporary, stack_key,
    )  # fmt: skip


def orders() -> dict[str, Any]:
    """What the release says about backups (backup.json): restore, restore_to, restore_from."""
    return read(ETC / "backup.json")


def is_sqlite() -> bool:
    """Whether the release says that this stack's database is SQLite, not PostgreSQL."""
    return orders().get("database") == "sqlite"


def had_data() -> bool:
    """Whether the release says that this stack's database has served before."""
    text = read(ROOT / "var/lib/sekha-deploy/applied.json").get("manifest")
    return text is not None and json.loads(text).get("data") in ("expected", "restore")


def instance() -> str:
    """Which machine this is: cloud-init's instance id, another one for each server that is made."""
    return (ROOT / "var/lib/cloud/data/instance-id").read_text().strip()


def node() -> str:
    return str(read(ETC / "agent.json")["node"])
