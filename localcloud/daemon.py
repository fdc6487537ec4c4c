"""The daemon: the API on 127.0.0.1 over the machines, which (like the services) are processes that outlive it.

`daemon VERSITYGW IMAGE_ROOTFS`, or `daemon --no-machines` for the API alone.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from localcloud import acme_issuer, certs, zonefile
from localcloud.api.app import create_app
from localcloud.api_only import ApiOnlyBackend
from localcloud.backend import Backend, BackendError
from localcloud.machines import disk, kernel_limits, router, services, whole
from localcloud.machines.paths import Paths, paths_from_env
from localcloud.machines.real import RealBackend
from localcloud.machines.sh import write
from localcloud.store import Store
from localcloud.web.serve import Console, wanted_port
from localcloud.worker import Cloud, Settings

LOG = logging.getLogger("localcloud")
DEFAULT_PORT = 8580


def port() -> int:
    """The API's port, LOCALCLOUD_PORT or 8580. Raises BackendError when that is none."""
    text = os.environ.get("LOCALCLOUD_PORT", str(DEFAULT_PORT))
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise BackendError(f"LOCALCLOUD_PORT={text!r} is not a port; set it to a number from 1 to 65535")
    return int(text)


def settings() -> Settings:
    """How strict the API is: LOCALCLOUD_RATE_LIMIT (requests an hour), LOCALCLOUD_SERVER_QUOTA. Default: not at all."""
    numbers: dict[str, int] = {}
    for name in ("LOCALCLOUD_RATE_LIMIT", "LOCALCLOUD_SERVER_QUOTA"):
        text = os.environ.get(name, "0")
        if not text.isdecimal():
            raise BackendError(f"{name}={text!r} is no number; set it to one, or unset it")
        numbers[name] = int(text)
    return Settings(numbers["LOCALCLOUD_RATE_LIMIT"], numbers["LOCALCLOUD_SERVER_QUOTA"] or None)


def prepare(paths: Paths, versitygw: str, image: Path) -> RealBackend:
    """Network, services and machines as they were; takes over what still runs."""
    kernel_limits.ensure()
    disk.share(paths.servers)
    router.up(paths)
    services.up(paths, versitygw)
    backend = RealBackend(paths, image)
    started = whole.restore(backend)
    if started:
        LOG.info("started servers %s again", ", ".join(map(str, started)))
    return backend


def issuer(paths: Paths, store: Store) -> Callable[[list[str]], tuple[str, str]]:
    """How managed certificates are made: by pebble, which finds the cloud's DNS zones."""

    def find(name: str, kind: str) -> list[str]:
        return zonefile.values(store.all(None, "zone"), name, kind)

    return lambda names: acme_issuer.issue(acme_issuer.program(), paths.ca, names, find)


def main() -> None:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    began = time.monotonic()
    paths = paths_from_env()
    backend: Backend
    if sys.argv[1:] == ["--no-machines"]:
        backend = ApiOnlyBackend(paths.cloud)
    else:
        backend = prepare(paths, sys.argv[1], Path(sys.argv[2]))
    store = Store(paths.database)
    # The API alone has nothing real behind it, and builds no programs: there the local CA issues at once.
    issue = functools.partial(certs.issue, paths.ca) if isinstance(backend, ApiOnlyBackend) else issuer(paths, store)
    cloud = Cloud(store, backend, settings(), issue=issue)
    cloud.start()
    web = Console(cloud, paths, wanted_port(port()))
    web.start()
    write(paths.run / "port", f"{port()}\n")
    LOG.info("ready after %.1f s", time.monotonic() - began)
    try:
        uvicorn.run(create_app(cloud), host="127.0.0.1", port=port(), log_config=None, timeout_graceful_shutdown=5)
    finally:
        web.stop()
        cloud.stop(timeout=10)
        cloud.store.close()
        Path(paths.run / "port").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
