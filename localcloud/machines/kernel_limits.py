"""Limits of the host's kernel that many machines reach: raised, never lowered, until the host boots again."""

from __future__ import annotations

import logging
from pathlib import Path

LOG = logging.getLogger(__name__)
# Each machine's systemd and its services hold five to eight inotify instances, of the kernel's 128 for root.
WANTED = {"fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524288}


def ensure(root: Path = Path("/proc/sys")) -> None:
    """Raise what is lower than wanted. Where that isn't allowed, a warning: some machines will not start."""
    for name, wanted in WANTED.items():
        try:
            if int((root / name).read_text()) < wanted:
                (root / name).write_text(str(wanted))
        except OSError as error:
            LOG.warning("%s can't be raised to %d (%s): more than a dozen machines may not start", name, wanted, error)
