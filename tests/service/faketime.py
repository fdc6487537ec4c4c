"""A wall clock that can be set for some processes: Debian's libfaketime, preloaded into them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path


class Clock:
    """Processes started with `environment` see the time moved by what was `set` last, within a second."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile("w", prefix="sekha-clock-")  # noqa: SIM115 - closed by close()
        Path(self._file.name).chmod(0o644)
        self.environment = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": self._file.name,
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set("+0")

    @staticmethod
    def possible() -> bool:
        """Whether the library is there, or can be installed."""
        return _found() is not None or os.geteuid() == 0

    def set(self, offset: str) -> None:
        """Such as `+1d`, `-3600`."""
        Path(self._file.name).write_text(offset + "\n", encoding="ascii")

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def _found() -> Path | None:
    return next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


def _library() -> Path:
    if _found() is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "libfaketime"], check=True)
    library = _found()
    assert library, "libfaketime is missing: apt-get install libfaketime"
    return library
