"""The daemon: the API on 127.0.0.1 over the machines, which (like the services) are processes that outlive it.

`daemon VERSITYGW IMAGE_ROOTFS`, or `daemon --no-machines` for the API alone.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from pathlib import Path

import uvicorn

from localcloud import certs
from localcloud.api.app import create_app
from localcloud.api_only import ApiOnlyBackend
from localcloud.backend import Backend, BackendError
from localcloud.machines import router, services, whole
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
    router.up(paths)
    services.up(paths, versitygw)
    backend = RealBackend(paths, image)
    started = whole.restore(backend)
    if started:
        LOG.info("started servers %s again", ", ".join(map(str, started)))
    return backend


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
    cloud = Cloud(Store(paths.database), backend, settings(), issue=functools.partial(certs.issue, paths.ca))
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
