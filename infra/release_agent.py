"""The agent as a file of the release: a Python zip application, equal bytes for equal sources."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

CLOUD_INIT = Path(__file__).resolve().parent.parent / "cloud-init"
PARTS = ("agent", "stage0/sekha_stage0")  # it brings its own copy of what it shares with stage 0
START = b"from sekha_agent.release import main\n\nmain()\n"
NEVER = (1980, 1, 1, 0, 0, 0)  # the earliest time that the format knows


def build(cloud_init: Path = CLOUD_INIT) -> bytes:
    """The zip application that `python3 FILE` runs."""
    files = {"__main__.py": START}
    for part in PARTS:
        for path in (cloud_init / part).rglob("*.py"):
            files[path.relative_to(cloud_init / part.split("/")[0]).as_posix()] = path.read_bytes()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(files):
            row = zipfile.ZipInfo(name, NEVER)
            row.external_attr = 0o644 << 16
            row.create_system = 3  # Unix, whatever this runs on
            archive.writestr(row, files[name], zipfile.ZIP_DEFLATED)
    return made.getvalue()
