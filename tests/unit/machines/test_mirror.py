"""The package mirror: what is kept, what is asked for anew, what is refused."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from localcloud import mirror


class Upstream(http.server.BaseHTTPRequestHandler):
    """Serves FILES and counts requests; `cut` promises more bytes than it sends."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    cut = False

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"") + (10 if self.cut else 0)))
        self.send_header("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


@pytest.fixture
def upstream() -> Iterator[http.server.HTTPServer]:
    Upstream.files, Upstream.asked, Upstream.cut = {}, [], False
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(upstream: http.server.HTTPServer, tmp_path: Path) -> mirror.Cache:
    return mirror.Cache(tmp_path, {"debian": f"http://127.0.0.1:{upstream.server_address[1]}/d"})


def test_packages_are_fetched_once(cache: mirror.Cache) -> None:
    Upstream.files["/d/pool/x.deb"] = b"package"
    for _ in range(2):
        found = cache.get("/debian/pool/x.deb")
        assert isinstance(found, Path)
        assert found.read_bytes() == b"package"
    assert Upstream.asked == ["/d/pool/x.deb"]


def test_indexes_are_asked_for_anew_and_outlive_upstream(cache: mirror.Cache, upstream: http.server.HTTPServer) -> None:
    Upstream.files["/d/dists/trixie/InRelease"] = b"1"
    found = cache.get("/debian/dists/trixie/InRelease")
    assert isinstance(found, Path)
    cache.get("/debian/dists/trixie/InRelease")
    assert len(Upstream.asked) == 1, "fresh: not asked again"
    os.utime(cache._stamp(found), (0, 0))
    Upstream.files["/d/dists/trixie/InRelease"] = b"2"
    cache.get("/debian/dists/trixie/InRelease")
    assert found.read_bytes() == b"2"
    os.utime(cache._stamp(found), (0, 0))
    upstream.shutdown()
    upstream.server_close()
    assert cache.get("/debian/dists/trixie/InRelease") == found


def test_what_is_cut_short_or_does_not_match_its_hash_is_not_kept(cache: mirror.Cache, tmp_path: Path) -> None:
    Upstream.cut = True
    Upstream.files["/d/pool/y.deb"] = b"half"
    assert cache.get("/debian/pool/y.deb") == 504
    Upstream.cut = False
    good, name = b"index", hashlib.sha256(b"index").hexdigest()
    Upstream.files[f"/d/dists/by-hash/SHA256/{name}"] = b"other"
    assert cache.get(f"/debian/dists/by-hash/SHA256/{name}") == 504
    Upstream.files[f"/d/dists/by-hash/SHA256/{name}"] = good
    assert isinstance(cache.get(f"/debian/dists/by-hash/SHA256/{name}"), Path)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [name]


@pytest.mark.parametrize("path", ["/other/pool/x", "/debian/../secret", "/debian/pool/", "/debian/pool/x?y", "/"])
def test_anything_else_is_not_found(cache: mirror.Cache, path: str) -> None:
    assert cache.get(path) == 404
    assert Upstream.asked == []


def test_missing_upstream_is_missing_here(cache: mirror.Cache) -> None:
    assert cache.get("/debian/pool/none.deb") == 404
