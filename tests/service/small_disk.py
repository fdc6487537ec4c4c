"""A file system of a few megabytes that can be filled up and freed; making one needs root."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from pathlib import Path


class SmallDisk:
    """A tmpfs of `megabytes` at `path`."""

    def __init__(self, megabytes: int) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="sekha-small-"))
        options = f"size={megabytes}m,mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "sekha-small", str(self.path)], check=True)
        self._ballast = self.path / "ballast"

    @staticmethod
    def possible() -> bool:
        """Whether this process may mount one."""
        return os.geteuid() == 0

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("wb", buffering=0) as file:
            for size in (2**20, 4096, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount and remove."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        self.path.rmdir()
