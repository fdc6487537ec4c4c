"""Where generated things live. Everything is below one cache folder; nothing is written into the repository."""

from __future__ import annotations

import os
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


def cache() -> Path:
    """The cache folder: `SEKHA_CACHE`, else the user's cache directory (XDG base directory specification)."""
    if root := os.environ.get("SEKHA_CACHE"):
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sekha-deploy"


def stack_dir(stack: str) -> Path:
    """The private folder of `stack` (0700): passphrase, ca.pem, and for `local` its config copy and SSH key."""
    path = cache() / "stacks" / stack
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
