"""Filled databases and collections, kept in the cache folder under a hash of all that they are made from.

The schema's versions are no part of it: a kept database is brought up to date when it is used, as everybody's is.
`python -m bench.service.kept CONVERSATIONS MESSAGES VECTORS` fills one. Runs work on copies.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import astuple
from pathlib import Path

from sekha_service.index.chroma import HNSW
from sekha_service.store.migrate import migrate

from tests.service.databases import Postgres, server_version
from tests.service.rig import REPO, Chroma, cache

from .data import Size, fill

_MADE_FROM = (
    "bench/service/data.py",
    "bench/service/texts.py",
    "app/chroma-requirements.txt",
)


class _Filling(Postgres):
    """PostgreSQL that waits for no disk: what is filled is kept only when all of it is there."""

    settings = "-c fsync=off -c shared_buffers=512MB -c max_wal_size=16GB -c autovacuum=off -c jit=off"


def keep(size: Size) -> Path:
    """The folder with `postgres` (a data folder) and `chroma` of this size, both stopped; filled now if it is new."""
    folder = _folder(size)
    if not folder.exists():
        # At low priority: it takes minutes.
        command = ["nice", "-n", "10", sys.executable, "-m", "bench.service.kept", *map(str, astuple(size))]
        subprocess.run(command, check=True)
    return folder


def _folder(size: Size) -> Path:
    digest = hashlib.sha256(f"{server_version()} {HNSW} {astuple(size)}".encode())
    for name in _MADE_FROM:
        path = REPO / name
        digest.update(path.read_bytes())
    return cache() / "bench-worlds" / f"{size.conversations}-{digest.hexdigest()[:16]}"


def _fill(size: Size) -> None:
    folder = _folder(size)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="filling-", dir=folder.parent) as name:
        made = Path(name) / "made"
        (Path(name) / "chroma").mkdir()
        made.mkdir()
        postgres, chroma = _Filling(), Chroma(Path(name) / "chroma")
        try:
            migrate(postgres.url)
            fill(postgres.url, chroma.port, size)
            chroma.stop()
            postgres.stop("fast")
            shutil.move(Path(name) / "chroma" / "data", made / "chroma")
            subprocess.run(["cp", "-a", "--reflink=auto", postgres.folder / "data", made / "postgres"], check=True)
        finally:
            chroma.stop()
            postgres.close()
        for old in folder.parent.glob(f"{size.conversations}-*"):
            shutil.rmtree(old)
        made.rename(folder)


if __name__ == "__main__":
    _fill(Size(*map(int, sys.argv[1:])))
