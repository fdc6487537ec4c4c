"""The moments of `up` and `destroy` at which proof/crashes.py strikes: by what API and bucket show, not by time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from infra import naming
from infra.clouds.hetzner_api import Reader
from infra.object_store import DESIRED, STATUS, Store, StoreConfig, client
from infra.settings import Settings


class View:
    """What is to be seen: the API's rows of a kind, whether a release is desired, and the stage of the last beacon.

    Each is looked up when a point asks for it, and only then: a stage may be over within a second.
    """

    def __init__(self, rows: Callable[[str], list[dict[str, Any]]], read: Callable[[str], dict[str, Any]]) -> None:
        self.rows, self._read = rows, read

    @property
    def desired(self) -> bool:
        return bool(self._read(DESIRED))

    @property
    def stage(self) -> str:
        return str(self._read(STATUS).get("stage", ""))

    def count(self, kind: str) -> int:
        return len(self.rows(kind))

    def server(self) -> str:
        """Status of the server, "gone" without one."""
        rows = self.rows("servers")
        return str(rows[0]["status"]) if rows else "gone"


Point = Callable[[View], bool]

UP: dict[str, Point] = {
    "network made": lambda view: view.count("networks") > 0,
    "server asked for": lambda view: view.count("servers") > 0,
    "server runs": lambda view: view.server() == "running",
    "volume made": lambda view: view.count("volumes") > 0,
    "release published": lambda view: view.desired,
    "stage packages": lambda view: view.stage == "packages" and view.desired,
    "stage database": lambda view: view.stage == "database" and view.desired,
    "stage service": lambda view: view.stage == "service" and view.desired,
}
DESTROY: dict[str, Point] = {
    "release taken back": lambda view: not view.desired,
    "volume gone": lambda view: not view.desired and view.count("volumes") == 0,
    "server stops": lambda view: not view.desired and view.server() not in ("running", "gone"),
    "server gone": lambda view: not view.desired and view.server() == "gone",
}


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

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return self.reader.rows(kind, label_selector=self.selector)

    def _read(self, prefix: str) -> dict[str, Any]:
        try:
            return self.store.read_json(prefix + self.node)
        except self.store.s3.exceptions.NoSuchBucket:  # before the first `up`
            return {}

    def wait(self, point: Point, ended: Callable[[], bool], timeout: float = 240.0) -> bool:
        """True at the moment `point` is reached; False when `ended` came first, or `timeout` seconds are over."""
        end, view = time.monotonic() + timeout, View(self.rows, self._read)
        while time.monotonic() < end:
            if point(view):
                return True
            if ended():
                return False
            time.sleep(0.02)
        return False
