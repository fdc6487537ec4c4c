"""Serving the web console beside the API, in a thread of the daemon, on a port and with a key of its own."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from pathlib import Path

import uvicorn

from localcloud.backend import BackendError
from localcloud.machines.paths import Paths
from localcloud.machines.sh import write
from localcloud.preflight import taken
from localcloud.web.app import create_web
from localcloud.worker import Cloud

LOG = logging.getLogger(__name__)


def wanted_port(api_port: int) -> int:
    """LOCALCLOUD_WEB_PORT, or the port after the API's; 0 (any that is free) where that one is taken.

    Raises BackendError when the variable is no port.
    """
    text = os.environ.get("LOCALCLOUD_WEB_PORT", str(api_port % 65535 + 1))
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise BackendError(f"LOCALCLOUD_WEB_PORT={text!r} is not a port; set it to a number from 1 to 65535")
    return 0 if taken(int(text)) else int(text)


def key_of(folder: Path) -> str:
    """The key in FOLDER/web-key, made at the first call: an address that was printed stays good."""
    file = folder / "web-key"
    if not file.exists():
        write(file, secrets.token_urlsafe(24), 0o600)
    return file.read_text()


class Console:
    """The running web console."""

    def __init__(self, cloud: Cloud, paths: Paths, port: int) -> None:
        app = create_web(cloud, key_of(paths.cloud))
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, ws="none", lifespan="off")
        self._server, self._file = uvicorn.Server(config), paths.run / "web-port"
        self._socket = config.bind_socket()
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)

    def start(self) -> None:
        """Serve; the port is in run/web-port from now on."""
        self._thread.start()
        write(self._file, f"{self._socket.getsockname()[1]}\n")

    def stop(self) -> None:
        """Stop serving; at most 5 s."""
        self._server.should_exit = True
        self._thread.join(5)
        self._file.unlink(missing_ok=True)
