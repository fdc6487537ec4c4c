"""Pull-through cache of Debian packages: what apt in the machines (and the image builder) sees as its mirror.

Files under pool/ and by-hash/ never change: kept for good. Other files under dists/ are indexes: asked for anew after
FRESH seconds, and served from the cache when upstream can't be reached. The listening sockets are made inside the
router namespace or on loopback; upstream is asked from the host's own namespace, exactly as the host itself would.
"""

from __future__ import annotations

import ctypes
import email.utils
import hashlib
import http.server
import os
import re
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from localcloud.aptconf import debian_mirrors

FRESH = 600.0  # s an index is served without asking upstream
TIMEOUT = 30.0  # s for upstream to answer
IMMUTABLE = re.compile(r"/pool/|/by-hash/")
SAFE = re.compile(r"/[A-Za-z0-9._~+:%/-]+")


class Cache:
    """Files of the upstream mirrors (`upstreams`: first path element -> URL) kept in `folder`."""

    def __init__(self, folder: Path, upstreams: dict[str, str]) -> None:
        self.folder = folder
        self.upstreams = upstreams
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, path: str) -> Path | int:
        """The file that answers a request path like /debian/pool/x.deb, or an HTTP status when there is none."""
        name, _, rest = path.lstrip("/").partition("/")
        if name not in self.upstreams or not SAFE.fullmatch(path) or ".." in path or path.endswith("/"):
            return HTTPStatus.NOT_FOUND
        file = self.folder / name / rest
        with self._guard:
            lock = self._locks.setdefault(path, threading.Lock())
        with lock:
            if file.is_file() and (IMMUTABLE.search(path) or self._fresh(file)):
                return file
            return self._fetch(f"{self.upstreams[name]}/{rest}", file, immutable=bool(IMMUTABLE.search(path)))

    def _stamp(self, file: Path) -> Path:
        return file.with_name(f".{file.name}.checked")

    def _fresh(self, file: Path) -> bool:
        try:
            return time.time() - self._stamp(file).stat().st_mtime < FRESH
        except OSError:
            return False

    def _fetch(self, url: str, file: Path, immutable: bool) -> Path | int:
        request = urllib.request.Request(url, headers={"User-Agent": "localcloud-mirror"})  # noqa: S310 (apt's own URL)
        if file.is_file():
            request.add_header("If-Modified-Since", email.utils.formatdate(file.stat().st_mtime, usegmt=True))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                self._store(answer, file)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_MODIFIED:
                return file if file.is_file() and error.code >= 500 else error.code
        except (OSError, ValueError) as error:
            print(f"{url}: {error}", file=sys.stderr, flush=True)
            return file if file.is_file() else HTTPStatus.GATEWAY_TIMEOUT
        if not immutable:
            self._stamp(file).touch()
        return file

    def _store(self, answer: Any, file: Path) -> None:
        """Write an upstream answer to `file`, whole or not at all; ValueError if cut short or not what by-hash says."""
        file.parent.mkdir(parents=True, exist_ok=True)
        temp = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}.part")
        digest, size = hashlib.sha256(), 0
        try:
            with temp.open("wb") as out:
                while block := answer.read(1 << 18):
                    out.write(block)
                    digest.update(block)
                    size += len(block)
            expected = answer.headers.get("Content-Length")
            if expected is not None and int(expected) != size:
                raise ValueError(f"cut short: {size} of {expected} bytes")
            if "/by-hash/SHA256/" in str(file) and file.name != digest.hexdigest():
                raise ValueError("content does not have the hash it is named by")
            modified = email.utils.parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp() \
                if answer.headers["Last-Modified"] else time.time()  # fmt: skip
            os.utime(temp, (modified, modified))
            temp.rename(file)
        finally:
            temp.unlink(missing_ok=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """GET and HEAD for apt: persistent and pipelined connections, If-Modified-Since."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 120
    cache: Cache  # set by the server's subclass

    def do_GET(self) -> None:
        found = self.cache.get(self.path)
        if not isinstance(found, Path):
            self.send_response(found)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with found.open("rb") as file:
            stat = os.fstat(file.fileno())
            since = self.headers.get("If-Modified-Since")
            if since and email.utils.parsedate_to_datetime(since).timestamp() >= int(stat.st_mtime):
                self.send_response(HTTPStatus.NOT_MODIFIED)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(stat.st_size))
            self.send_header("Last-Modified", email.utils.formatdate(stat.st_mtime, usegmt=True))
            self.end_headers()
            if self.command == "GET":
                shutil.copyfileobj(file, self.wfile, 1 << 18)

    do_HEAD = do_GET  # noqa: N815 (the library's naming)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


class Server(http.server.ThreadingHTTPServer):
    """An HTTP server on a socket that is bound already."""

    daemon_threads = True

    def __init__(self, bound: socket.socket, cache: Cache) -> None:
        super().__init__(
            bound.getsockname(), type("BoundHandler", (Handler,), {"cache": cache}), bind_and_activate=False
        )
        self.socket.close()
        self.socket = bound
        self.server_activate()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def bound_socket(address: str, port: int, namespace: Path | None = None) -> socket.socket:
    """A TCP socket bound inside a network namespace (None: ours); it stays there wherever its process is."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if namespace:
            _set_namespace(namespace)
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        return bound
    finally:
        if namespace:
            _setns(home)
        os.close(home)


def _set_namespace(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        _setns(fd)
    finally:
        os.close(fd)


def _setns(fd: int) -> None:
    """os.setns, which Python 3.11 lacks; for the calling thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def on_loopback(folder: Path) -> Iterator[str]:
    """Serve the mirror on a free loopback port while the block runs; gives its URL, as http://127.0.0.1:PORT."""
    bound = bound_socket("127.0.0.1", 0)
    server = Server(bound, Cache(folder, debian_mirrors()))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    """mirror FOLDER ADDRESS PORT NAMESPACE_PATH: serve until killed."""
    folder, address, port, namespace = sys.argv[1:]
    bound = bound_socket(address, int(port), Path(namespace))
    Server(bound, Cache(Path(folder), debian_mirrors())).serve_forever()


if __name__ == "__main__":
    main()
