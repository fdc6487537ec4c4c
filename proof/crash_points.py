"""The moments of `up` and `destroy` at which proof/crashes.py strikes: by what API and bucket show, not by time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra import naming
from infra.clouds.hetzner_api import Reader
from infra.object_store import DESIRED, STATUS, Store, StoreConfig, client
from infra.settings import Settings


@dataclass(frozen=True)
class View:
    """What is to be seen: the API's rows by kind, whether a release is desired, and the stage of the last beacon."""

    rows: Mapping[str, list[dict[str, Any]]]
    desired: bool
    stage: str

    def count(self, kind: str) -> int:
        return len(self.rows[kind])

    def server(self) -> str:
        """Status of the server, "gone" without one."""
        return str(self.rows["servers"][0]["status"]) if self.rows["servers"] else "gone"


Point = Callable[[View], bool]

UP: dict[str, Point] = {
    "network made": lambda view: view.count("networks") > 0,
    "server asked for": lambda view: view.count("servers") > 0,
    "server runs": lambda view: view.server() == "running",
    "volume made": lambda view: view.count("volumes") > 0,
    "release published": lambda view: view.desired,
    "stage packages": lambda view: view.desired and view.stage == "packages",
    "stage database": lambda view: view.desired and view.stage == "database",
    "stage service": lambda view: view.desired and view.stage == "service",
}
DESTROY: dict[str, Point] = {
    "release taken back": lambda view: not view.desired,
    "volume gone": lambda view: not view.desired and view.count("volumes") == 0,
    "server stops": lambda view: not view.desired and view.server() not in ("running", "gone"),
    "server gone": lambda view: not view.desired and view.server() == "gone",
}
KINDS = ("networks", "servers", "volumes")


class Watch:
    """Looks at cloud and bucket of the stack again and again."""

    def __init__(self, settings: Settings) -> None:
        bucket, secrets = settings.bucket, settings.secrets
        self.reader, self.selector = Reader(settings), naming.selector(settings.stack)
        self.node = naming.node(settings.stack, 1)
        config = StoreConfig(
            bucket.endpoint, bucket.region, bucket.name, bucket.addressing, bucket.ca_file,
            secrets.bucket_access_key, secrets.bucket_secret_key,
        )  # fmt: skip
        self.store = Store(client(config), bucket.name)

    def look(self) -> View:
        rows = {kind: self.reader.rows(kind, label_selector=self.selector) for kind in KINDS}
        desired, beacon = self._read(DESIRED), self._read(STATUS)
        return View(rows, bool(desired), str(beacon.get("stage", "")))

    def _read(self, prefix: str) -> dict[str, Any]:
        try:
            return self.store.read_json(prefix + self.node)
        except self.store.s3.exceptions.NoSuchBucket:  # before the first `up`
            return {}

    def wait(self, point: Point, ended: Callable[[], bool], timeout: float = 240.0) -> bool:
        """True at the moment `point` is reached; False when `ended` came first, or `timeout` seconds are over."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if point(self.look()):
                return True
            if ended():
                return False
            time.sleep(0.02)
        return False
