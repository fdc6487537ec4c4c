"""`make backup-cost`: how many requests a month a stack's backups make, and what they cost at each cloud."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from infra.restore_settings import ARCHIVE_TIMEOUT, SQLITE, SYNC_SECONDS

PRICES = Path(__file__).with_name("backup_cost.yaml")
MONTH = 30 * 86400  # seconds
LEASE = 20  # seconds between two renewals (cloud-init/backup: lease.py)
AGENT = 10  # seconds between two looks at desired/NODE (cloud-init/agent)
BUNDLE_MB = 20  # pgBackRest's repo-bundle-size: files that travel in one object
FIXED = 12  # objects of a backup besides its bundles: manifest, info, history and their copies
SEGMENT_MB = 4  # size of a WAL segment
CHECK = 300  # seconds between two looks at the backups (cloud-init/backup: sekha-backup-check.timer)
LOOK = (5, 2)  # one look's: four lists (priced as writes) and a receipt; two small objects read (pgBackRest 2.55)
FULL, DIFF = 30 / 7, 30 - 30 / 7  # backups a month
PART_MB, PIECE_MB = (
    5,
    16,
)  # of a litestream snapshot (the SDK's parts) and of a daily copy (cloud-init/backup: copies.py)
RETENTION_LISTS = 3 * 24 * 30  # litestream looks hourly for what is old: generations, snapshots, changes


@dataclass(frozen=True)
class Requests:
    """Requests a month by what makes them: name -> (writes, reads)."""

    rows: dict[str, tuple[int, int]]

    @property
    def writes(self) -> int:
        return sum(writes for writes, _ in self.rows.values())

    @property
    def reads(self) -> int:
        return sum(reads for _, reads in self.rows.values())


def requests(hours: float, timeout: int, stored_mb: float, changed: float = 0.1) -> Requests:
    """Requests of a stack that is written to steadily `hours` a day; nothing is archived while nothing is written.

    `timeout`: sekha:archiveTimeout in seconds; `stored_mb`: a full backup's MB in the bucket; `changed`: the part of
    it that a differential backup holds.
    """
    segments = math.ceil(hours * 3600 * 30 / timeout)
    full = FULL * (FIXED + stored_mb / BUNDLE_MB)
    diff = DIFF * (FIXED + stored_mb * changed / BUNDLE_MB)
    return Requests(
        {
            "archived WAL": (segments, 0),
            "full and differential backups": (math.ceil(full + diff), math.ceil((FULL + DIFF) * FIXED)),
            "lease": (MONTH // LEASE, 0),
            "check of the backups": (MONTH // CHECK * LOOK[0], MONTH // CHECK * LOOK[1]),
            "verification": (0, math.ceil(FULL * (FIXED + stored_mb * (1 + changed) / BUNDLE_MB))),
            "the agent's looks at its release": (0, MONTH // AGENT),
        }
    )


def sqlite_requests(hours: float, timeout: int, stored_mb: float) -> Requests:
    """The same for a SQLite stack. `stored_mb`: the database compressed. What litestream restores in a verification is
    the newest snapshot and the changes of half a day."""
    changes = math.ceil(hours * 3600 * 30 / timeout)
    return Requests(
        {
            "changes (litestream)": (changes, 0),
            "daily snapshots": (30 * math.ceil(2 + stored_mb / PART_MB), 0),
            "daily copies": (30 * math.ceil(1 + stored_mb / PIECE_MB), 30),
            "looks for what is old": (RETENTION_LISTS, 0),
            "lease": (MONTH // LEASE, 0),
            "check of the backups": (MONTH // CHECK, MONTH // CHECK * 2),
            "verification": (math.ceil(FULL * (4 + changes / 1000)), math.ceil(FULL * (1 + changes / 60))),
            "the agent's looks at its release": (0, MONTH // AGENT),
        }
    )


def price(made: Requests, cloud: str) -> float:
    """What the requests cost a month at `cloud`, net, in its currency."""
    row = yaml.safe_load(PRICES.read_text())["clouds"][cloud]
    return float(made.writes / 1000 * row["per_1000_writes"] + made.reads / 1000 * row["per_1000_reads"])


def main() -> int:
    """Print both for HOURS=8 of writing a day and STORED_MB=1000 (DATABASE=sqlite: for such a stack)."""
    hours, stored = float(os.environ.get("HOURS", "8")), float(os.environ.get("STORED_MB", "1000"))
    sqlite = os.environ.get("DATABASE") == SQLITE
    timeout = int(os.environ.get("ARCHIVE_TIMEOUT", str(SYNC_SECONDS if sqlite else ARCHIVE_TIMEOUT)))
    made = (sqlite_requests if sqlite else requests)(hours, timeout, stored)
    print(f"{hours:g} h of writing a day, archiveTimeout {timeout} s, {stored:g} MB in a full backup; a month has")
    for name, (writes, reads) in made.rows.items():
        print(f"  {name:34} {writes:10,} writes {reads:10,} reads")
    print(f"  {'in all':34} {made.writes:10,} writes {made.reads:10,} reads")
    prices = yaml.safe_load(PRICES.read_text())
    for cloud, row in prices["clouds"].items():
        print(f"  {cloud:34} {price(made, cloud):10.2f} {row['currency']}   ({row['source']}; {prices['checked']})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
