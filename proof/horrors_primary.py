"""Horrors of two machines: two rebuilds at once, and an old primary that is still alive.

The second machine is a second root folder on the first one, with an instance id, configuration and database folder of
its own: the same program, bucket and PostgreSQL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ops.backups import TOOL
from proof.horrors_rig import CLUSTERS, Outcome, Rig, last_line
from proof.operator_copy import wait_for

SECOND = "/srv/sekha/second"
OTHER = f"SEKHA_DEPLOY_ROOT={SECOND} {TOOL}"
FURNISH = f"""
rm -rf {SECOND}; mkdir -p {SECOND}; cd {SECOND}
mkdir -p etc run srv/sekha var/lib/cloud/data var/lib/sekha-deploy; chmod 755 . run srv srv/sekha
cp -a /etc/sekha-deploy /etc/pgbackrest etc; cp -a /run/sekha-deploy run
cp -a /var/lib/sekha-deploy/applied.json var/lib/sekha-deploy
echo second >var/lib/cloud/data/instance-id
"""
HOLD = f"systemd-run -q --unit=second --setenv=SEKHA_DEPLOY_ROOT={SECOND} {TOOL} hold"
HOLDER = "another machine is this stack's primary"


def leave(rig: Rig) -> None:
    """The second machine is shut down in order, and gone."""
    give_back = "from sekha_backup.lease import of_this_machine as mine; mine().renew(released=True)"
    python = "PYTHONPATH=/usr/local/lib/sekha-deploy:/usr/local/lib/sekha-deploy/stage0 python3 -c"
    rig.attempt(f"systemctl stop second.service; SEKHA_DEPLOY_ROOT={SECOND} {python} '{give_back}'; rm -rf {SECOND}")


def hold_second(rig: Rig) -> None:
    """The second machine's daemon, that keeps its lease."""
    rig.run(HOLD)


def fenced_within(rig: Rig, seconds: float = 60) -> float:
    """Wait until the old primary stopped itself; how long that took."""
    fenced = "test -e /srv/sekha/fenced.json && ! systemctl is-active -q postgresql@17-main.service sekha.service"
    return wait_for(lambda: rig.attempt(fenced)[0] == 0, seconds, "the old primary is fenced")


def take_back(rig: Rig) -> tuple[int, str]:
    """The second machine is gone, the first one gets a blank volume: what its bring-up says."""
    leave(rig)
    rig.run(f"rm -rf {CLUSTERS}/main.kept; mv {CLUSTERS}/main {CLUSTERS}/main.kept; rm -f /srv/sekha/fenced.json")
    result = rig.bring_up()
    rig.run("systemctl start sekha-lease.service")
    return result


def two_rebuilds(rig: Rig) -> Iterator[Outcome]:
    """Two machines with blank volumes, at the same moment: where nobody has the lease, and where both download while
    that of a dead machine runs out."""
    yield from _at_once(rig, "two rebuilds at once", dead=False)
    yield from _at_once(rig, "two rebuilds that wait for a dead machine's lease", dead=True)


def _at_once(rig: Rig, what: str, dead: bool) -> Iterator[Outcome]:
    rows = rig.write()
    rig.run("systemctl stop sekha-lease.service")
    rig.blank()
    rig.run(FURNISH)
    key = rig.prefix + "lease.json"
    if dead:
        state = json.dumps(rig.store.read_json(key) | {"holder": "dead", "released": False})
        rig.store.s3.put_object(Bucket=rig.store.bucket, Key=key, Body=state.encode())
    else:
        rig.store.delete(key)
    one = f"({TOOL} bring-up && systemctl start sekha-lease.service) >/run/one 2>&1"
    two = f"({OTHER} bring-up && {HOLD}) >/run/two 2>&1"
    _, said = rig.attempt(
        f"{one} & first=$!; {two} & wait $!; echo two $?; wait $first; echo one $?; cat /run/one /run/two"
    )
    codes = dict(re.findall(r"^(one|two) (\d+)$", said, re.MULTILINE))
    if codes.get("one") == "0":
        served, right = rig.all_served(rows)
        rig.forget()
    else:  # the second was faster: this machine must serve nothing
        served, right = rig.nothing_served()
    apart = sorted(code == "0" for code in codes.values()) == [False, True]
    refusal = next((line for line in said.splitlines() if HOLDER in line), said[-300:])
    early = not dead or said.count("downloading while") == 2
    yield Outcome(f"{what}: one restores, the other is refused", last_line(refusal), served,
                  apart and HOLDER in said and early and right)  # fmt: skip
    leave(rig)
    if codes.get("one") != "0":
        yield rig.restored("the other one is gone", rig.bring_up(), rows)
    rig.run("systemctl start sekha-lease.service")


def old_primary(rig: Rig) -> Iterator[Outcome]:
    """A rebuild while the primary serves; then the primary hangs, is taken for dead, and comes back."""
    rows = rig.write()
    rig.run("systemctl start sekha-lease.service")
    rig.run(FURNISH)
    code, said = rig.attempt(f"{OTHER} bring-up")
    served, right = rig.all_served(rows)
    yield Outcome(
        "a rebuild while the primary lives",
        last_line(said),
        f"the primary: {served}",
        code != 0 and HOLDER in said and right,
    )
    rig.run("systemctl kill -s STOP sekha-lease.service")
    code, said = rig.attempt(f"{OTHER} bring-up")
    restored = next((line for line in said.splitlines() if line.startswith("restored: ")), said[-300:])
    hold_second(rig)
    rig.run("systemctl kill -s CONT sekha-lease.service")
    waited = fenced_within(rig)
    served, nothing = rig.nothing_served_here()
    yield Outcome("the primary hung for a minute, was rebuilt elsewhere, and wakes up",
                  f"{restored.split(': {')[0]}; the old one stopped itself after {waited:.0f} s",
                  f"the old one: {served}", code == 0 and nothing)  # fmt: skip
    code, said = rig.bring_up()
    yield Outcome("the old primary gets a release", last_line(said), f"the old one: {served}",
                  code != 0 and "lost its lease to" in said)  # fmt: skip
    code, said = rig.attempt(f"rm /srv/sekha/fenced.json; {TOOL} bring-up")
    yield Outcome("the same after fenced.json was removed by hand, with the stackKey of before", last_line(said),
                  f"the old one: {served}", code != 0 and "make rotate KEY=stack" in said)  # fmt: skip
    yield rig.restored("a blank volume in its place", take_back(rig), rows)
