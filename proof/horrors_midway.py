"""Horrors while something is under way: the bucket away, the disk full, a kill."""

from __future__ import annotations

from collections.abc import Iterator

from ops.backups import TOOL
from ops.drill import fill
from proof.horrors_rig import CLUSTERS, Outcome, Rig
from proof.operator_copy import wait_for

FILES = f"{CLUSTERS}/restoring"
REPLAYING = "replaying the archive"
BALLOON = f"{CLUSTERS}/balloon"


def away_at_boot(rig: Rig) -> Iterator[Outcome]:
    """The machine boots, and the bucket is away."""
    rows = rig.write()
    boot = rig.run("cat /proc/sys/kernel/random/boot_id")
    with rig.away():
        rig.attempt("systemctl reboot")
        wait_for(lambda: rig.attempt("cat /proc/sys/kernel/random/boot_id")[1] not in ("", boot.strip()), 120, "boot")
        wait_for(lambda: rig.status() == 200, 120, "the service is healthy without the bucket")
        said = rig.run("journalctl -b -u sekha-lease -o cat | grep lease | tail -1").strip()
        found = rig.rows()
        served = f"healthy, {found} of {rows} conversations"
        yield Outcome("the machine boots with its data, and the bucket is away", said, served,
                      found == rows and "serving on" in said)  # fmt: skip
        rig.blank()
        yield rig.refused(
            "the volume is blank, and the bucket is away", rig.bring_up(), "sekha-backup bring-up: bucket "
        )
    yield rig.restored("the bucket is back", rig.bring_up(), rows)


def away_at_backup(rig: Rig) -> Iterator[Outcome]:
    """A backup, and writes, while the bucket is away."""
    with rig.away():
        code, _ = rig.attempt("systemctl start sekha-backup@diff.service")
        said = rig.run("journalctl -u sekha-backup@diff -n 30 -o cat | grep -i error | tail -1").strip()
        state = rig.attempt("systemctl is-failed sekha-backup@diff.service")[1]
        rig.create(3)
        rows = rig.rows()
        yield Outcome("a backup while the bucket is away", f"unit {state}: {said}", f"healthy, writes taken: {rows}",
                      code != 0 and state == "failed" and rig.status() == 200)  # fmt: skip
    fill.archived_within(rig.machine)
    code, said = rig.attempt(f"systemctl start sekha-backup@diff.service && {TOOL} trial")
    served, right = rig.all_served(rows)
    yield Outcome("the bucket is back: archive, backup, trial restore", said.splitlines()[-1], served,
                  code == 0 and right)  # fmt: skip


def away_during_restore(rig: Rig) -> Iterator[Outcome]:
    """The way to the bucket is cut for a while in the middle of a restore: of the download, then of the replay."""
    rows = rig.write()
    cut, mend = (f"ip route {verb} unreachable {rig.address}" for verb in ("add", "del"))
    loading = f"until [ -d {FILES}/base ]; do sleep 0.05; done;"
    for what, when, wait, seconds in (("download", "restoring stack", loading, 15), ("replay", REPLAYING, "", 100)):
        rig.blank()
        result = rig.bring_up(when, f"{wait} {cut}; (sleep {seconds}; {mend}) >/dev/null 2>&1 &")
        if result[0] == 0:  # it had the patience
            yield rig.restored(f"the bucket is away for {seconds} s in the middle of the {what}", result, rows)
            continue
        yield rig.refused(f"the bucket is away for {seconds} s in the middle of the {what}", result, "")
        rig.attempt("while ip route | grep -q unreachable; do sleep 0.5; done")
        yield rig.restored("the bucket is back", rig.bring_up(), rows)


def full_disk(rig: Rig) -> Iterator[Outcome]:
    """The volume is full before a restore, and fills in the middle of one."""
    rows = rig.write()
    leave = f"fallocate -l $(($(df --output=avail -B1 {CLUSTERS} | tail -1) - $1)) {BALLOON}"
    fill_up = f"set -- 12000000; {leave}"
    rig.blank()
    rig.run(f"rm -rf {CLUSTERS}/main.kept")
    try:
        rig.attempt(fill_up)
        yield rig.refused("the volume is too full for the backup", rig.bring_up(), "raise sekha:conversations")
        rig.run(f"rm {BALLOON}")
        yield rig.refused(
            "the volume fills up in the middle of a restore", rig.bring_up("restoring stack", fill_up), "o space left"
        )
    finally:
        rig.attempt(f"rm -f {BALLOON}")
    yield rig.restored("there is room again", rig.bring_up(), rows)


def killed(rig: Rig) -> Iterator[Outcome]:
    """kill -9 of a restore, whose helpers live on."""
    rows = rig.write()
    rig.blank()
    for what, sign in (("download", f"[ -d {FILES}/base ]"), ("replay", f"grep -q '{REPLAYING}' /run/horror")):
        command = (
            f"{TOOL} bring-up >/run/horror 2>&1 & pid=$!; until {sign} || ! kill -0 $pid; do sleep 0.02; done; "
            "kill -9 $pid; wait $pid; code=$?; cat /run/horror; echo killed; exit $code"
        )
        yield rig.refused(f"kill -9 in the middle of the {what}", rig.attempt(command), "killed")
    yield rig.restored("the next try", rig.bring_up(), rows)
