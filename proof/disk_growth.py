"""`make proof-disk-growth`: disks of servers grow, again and again, whatever happens around them.

TIMES=4 servers, each grown twice (40, 80, 160 GB) after a power-off or an orderly shutdown, with another machine that
booted meanwhile, and every other time with a kill -9 of the daemon amid it. After each the machine must see all of its
disk, its file system be whole, what was on it be there, and no second loop device have its file.
"""

from __future__ import annotations

import os
import random
import signal
import time

from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from localcloud.backend import BackendError
from localcloud.machines import diskfile, guest, loops, process
from ops.engine import OperatorError
from ops.show import json_line, say, table
from proof.cloud_rig import CloudRig, localcloud, number_of, rig, until
from proof.entry import finish

SIZES = {"cx33": 80, "cx43": 160}  # GB by type; cx23, of which each server is made, has 40
MOST = 20  # servers, at most
END = 300.0  # s for a growth


class Growth:
    """One server at a time, and one more that boots beside it."""

    def __init__(self, rig: CloudRig) -> None:
        self.rig, self.client, self.paths = rig, rig.client, rig.paths
        self.chance = random.Random(7)  # noqa: S311

    def once(self, server: BoundServer, size: str, *, hard: bool, kill: bool) -> str:
        """Off, larger, on; "" or what is wrong afterwards."""
        number = number_of(server)
        folder = self.paths.server(number)
        guest.run_inside(folder, "sh", "-c", f"date > /root/before-{size}; sync")
        (server.power_off if hard else server.shutdown)().wait_until_finished(300)
        until(lambda: self.client.servers.get_by_id(number).status == "off", 60, "the server is off")
        action = server.change_type(ServerType(name=size), upgrade_disk=True)
        if kill:
            time.sleep(self.chance.uniform(0, 0.6))
            daemon = process.load(self.paths.run / "daemon.pid")
            if daemon is None:
                raise OperatorError("the daemon does not run")
            daemon.kill(signal.SIGKILL)
            daemon.wait_gone(5)
            localcloud("up")
        until(lambda: self.client.actions.get_by_id(number_of(action)).status != "running", END, "the disk grew")
        ended = self.client.actions.get_by_id(number_of(action))
        if ended.status != "success":
            return f"{ended.status}: {ended.error}"
        return self._wrong(number, size)

    def _wrong(self, number: int, size: str) -> str:
        folder = self.paths.server(number)
        found = diskfile.file_system(folder / "disk.img")
        if found.size != SIZES[size] * diskfile.GB or not found.whole:
            return f"the file system: {found}"
        try:
            seen = int(guest.run_inside(folder, "df", "--output=size", "-BM", "/").split()[-1].rstrip("M"))
            guest.run_inside(folder, "test", "-s", f"/root/before-{size}")
        except BackendError as error:
            return str(error)
        if seen < 900 * SIZES[size]:
            return f"the machine sees {seen} MB"
        devices = [device for device, file in loops.loops_below(self.paths.servers).items() if file.parent == folder]
        return "" if len(devices) == 1 else f"loop devices {devices}"

    def run(self, times: int) -> list[tuple[str, str, str, str, float]]:
        """How it went: size, off by what, killed or not, what is wrong, seconds."""
        rows: list[tuple[str, str, str, str, float]] = []
        for turn in range(times):
            server = self.rig.server(f"grow-{turn}")
            for place, size in enumerate(SIZES):
                beside = self.rig.server(f"beside-{turn}-{size}")  # its nspawn starts while the disk is mounted
                hard, kill = bool(turn % 2), bool((turn // 2 + place) % 2)
                began = time.monotonic()
                wrong = self.once(server, size, hard=hard, kill=kill)
                row = (size, "power off" if hard else "shutdown", "kill -9" if kill else "", wrong or "whole")
                rows.append((*row, time.monotonic() - began))
                say(f"growth {len(rows)} of {2 * times}: {', '.join(part for part in row if part)}")
                beside.delete().wait_until_finished(300)
                if wrong:
                    break  # nothing can be said of its next growth
            server.delete().wait_until_finished(300)
        return rows


def main() -> int:
    """1 if a growth failed, or left anything wrong."""
    times = int(os.environ.get("TIMES", "4"))
    if not 1 <= times <= MOST:
        raise OperatorError(f"TIMES={times} is not between 1 and {MOST}")
    with rig() as made:
        rows = Growth(made).run(times)
    print(table(["grown to", "off by", "daemon", "afterwards", "s"], rows))
    bad = [row for row in rows if row[3] != "whole"]
    print(f"\n{len(rows)} growths, {len(bad)} went wrong")
    json_line({"growths": len(rows), "bad": [row[:4] for row in bad]})
    return 1 if bad else 0


if __name__ == "__main__":
    finish(main)
