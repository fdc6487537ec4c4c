"""Where things are on the machine, how files are written, and the errors that stage 0 and the agent share."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(os.environ.get("SEKHA_DEPLOY_ROOT", "/"))  # another one in tests
ETC, RUN, VAR = ROOT / "etc/sekha-deploy", ROOT / "run/sekha-deploy", ROOT / "var/lib/sekha-deploy"
CLOUD = ROOT / "var/lib/cloud/data"


class RefusedError(Exception):
    """The desired release must not be applied; the message says why."""


class StepError(Exception):
    """Something that a release needs failed; the message says what and why."""


class MissingError(Exception):
    """The bucket has no such object."""


def write(path: Path, data: str | bytes, mode: int = 0o600) -> None:
    """Write `data` to `path`: whole or not at all, also when the power goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def retry(call: Callable[[], T], attempts: int) -> T:
    """`call()`, again after a growing pause while network or bucket fail (OSError)."""
    for attempt in range(attempts - 1):
        try:
            return call()
        except OSError:
            time.sleep(min(0.2 * 2**attempt, 8))
    return call()
