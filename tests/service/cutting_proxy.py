"""A TCP-to-socket proxy before PostgreSQL that can cut a connection at a chosen moment of a statement."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path


class CuttingProxy:
    """Passes bytes between 127.0.0.1:`port` and PostgreSQL's socket.

    `cut_before`: the next statements that hold `marker` never reach the database. `cut_after`: they reach it and are
    committed, and the connection is cut before the answer comes back. Both count down by one per cut.
    """

    def __init__(self, target: Path, marker: bytes) -> None:
        self._target, self._marker = target, marker
        self.cut_before = self.cut_after = self.cuts = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._target))
        except OSError:
            _close(client, server)
            return
        mute = threading.Event()
        threading.Thread(target=self._back, args=(server, client, mute), daemon=True).start()
        try:
            while data := client.recv(65536):
                if self._wants(data, before=True):
                    break
                if self._wants(data, before=False):
                    mute.set()  # the answer is read, so that the statement is done, and thrown away
                    server.sendall(data)
                    return
                server.sendall(data)
        except OSError:
            pass
        _close(client, server)

    def _wants(self, data: bytes, *, before: bool) -> bool:
        with self._lock:
            left = self.cut_before if before else self.cut_after
            if not left or self._marker not in data:
                return False
            if before:
                self.cut_before -= 1
            else:
                self.cut_after -= 1
            self.cuts += 1
            return True

    def _back(self, server: socket.socket, client: socket.socket, mute: threading.Event) -> None:
        try:
            while data := server.recv(65536):
                if mute.is_set():
                    break
                client.sendall(data)
        except OSError:
            pass
        _close(client, server)


def _close(*connections: socket.socket) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
