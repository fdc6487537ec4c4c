"""What a stack on the rig lives through: its engine killed; state, server, volume lost; its server type sold out.

Run as `unshare --net python -m tests.cloud.crash_story FOLDER`; leaves FOLDER/story.json for test_crashes.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from infra.clouds import hetzner_inventory as cloud
from ops import recover
from ops.engine import Engine, OperatorError
from ops.stale_lock import break_stale, drop_torn_sidecars
from tests.cloud.program_rig import Rig
from tests.support import wait_for

YES = ("--yes", "--skip-preview")


class Story:
    """The rig, an engine as the operator's commands have it, and what was recorded."""

    def __init__(self, folder: Path) -> None:
        self.rig, self.told = Rig(folder), dict[str, Any]()
        self.rig.start()
        self.rig.configure("Pulumi.local.yaml")
        os.environ.update(self.rig.env)
        self.engine = Engine("local", config_file=self.rig.config_file)

    def kill(self, command: str, moment: Callable[[], bool]) -> None:
        """Start the engine, kill -9 it at `moment`, and what it started ends with it."""
        call = self.engine.command(command, *YES)
        quiet = subprocess.DEVNULL
        engine = subprocess.Popen(call, env=self.engine.environment(), stdin=quiet, stdout=quiet, stderr=quiet)
        wait_for(lambda: moment() or engine.poll() is not None, 90, f"the moment in {command}", 0.005)
        assert engine.poll() is None, f"{command} ended before its moment"
        children = [pid for pid in _children(engine.pid) if _name(pid).startswith("pulumi")]
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        wait_for(lambda: not any(_name(pid) for pid in children), 10, "the engine's processes end with it")

    def up(self, name: str) -> None:
        """What `make up` does from here on, recorded: what was said, how it ended, and cloud and state after it."""
        said, text = io.StringIO(), ""
        break_stale(self.rig.folder / "pulumi", "local")
        drop_torn_sidecars(self.rig.folder / "pulumi")
        with contextlib.redirect_stderr(said):
            try:
                arguments = recover.recover(self.engine)
                text = self.rig.pulumi("up", *YES, *arguments).stdout
                error = ""
            except (OperatorError, AssertionError) as problem:
                error = str(problem)
        self.told[name] = {"said": said.getvalue(), "error": error, "text": text, **self.compare()}

    def compare(self) -> dict[str, Any]:
        """Cloud against state, and what must outlive a crash."""
        settings = recover.settings_of(self.engine)
        assert settings is not None
        state = json.loads(self.engine.capture("stack", "export"))
        known = {(row.type, row.id) for row in recover.rows(state, cloud)}
        found = {(thing.type, thing.id) for thing in cloud.inventory(settings)}
        ids = {kind: [row["id"] for row in self.rig._rows(kind)] for kind in ("servers", "volumes", "primary_ips")}
        pending = (state["deployment"] or {}).get("pending_operations") or []
        return {"orphans": len(found - known), "missing": len(known - found), "pending": len(pending), **ids}

    def lose(self, kind: str) -> None:
        """Delete all of the kind behind the engine's back."""
        for row in self.rig._rows(kind):
            self.call("DELETE", f"/{kind}/{row['id']}")
        wait_for(lambda: not self.rig._rows(kind), 20, f"{kind} gone")

    def call(self, method: str, path: str) -> None:
        headers = {"Authorization": f"Bearer {self.rig.token}"}
        httpx.request(method, f"http://127.0.0.1:8580/v1{path}", headers=headers).raise_for_status()


def _children(pid: int) -> list[int]:
    return [int(text) for path in Path(f"/proc/{pid}/task").glob("*/children") for text in path.read_text().split()]


def _name(pid: int) -> str:
    """A living process's name; "" for none."""
    try:
        head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return ""
    return "" if tail.split()[0] in "ZX" else head.partition("(")[2]


def main(folder: Path) -> None:
    """Live through it all and leave story.json."""
    story = Story(folder)
    rig = story.rig
    story.kill("up", lambda: bool(rig._rows("servers")))
    story.up("killed while it made the server")
    story.kill("destroy", lambda: not rig._rows("volumes"))
    story.up("killed while it destroyed")
    (volume,) = story.compare()["volumes"]
    story.call("POST", f"/volumes/{volume}/actions/detach")
    wait_for(lambda: rig._rows("volumes")[0]["server"] is None, 20, "the volume is detached")
    story.up("volume detached")
    story.told["attached to"] = rig._rows("volumes")[0]["server"]
    empty = json.loads(story.engine.capture("stack", "export"))
    empty["deployment"]["resources"] = []
    before = story.compare()
    story.engine.capture("stack", "import", stdin=json.dumps(empty))
    story.told["before the state was lost"] = before
    story.up("state lost")
    story.lose("servers")
    story.up("server lost")
    story.lose("servers")
    story.lose("volumes")
    story.up("volume lost")
    story.told["past the operator's command"] = rig.pulumi("up", *YES, "--refresh", check=False).stdout
    os.environ["ACCEPT_DATA_LOSS"] = rig.env["ACCEPT_DATA_LOSS"] = "local"
    story.up("volume lost, accepted")
    del os.environ["ACCEPT_DATA_LOSS"], rig.env["ACCEPT_DATA_LOSS"]
    rig.cloud.store.set_unavailable({("cx23", "fsn1")})
    story.told["sold out later"] = rig.pulumi("preview", "--refresh", "--expect-no-changes", check=False).returncode
    story.engine.run("destroy", *YES)
    recover.check_destroyed(story.engine)
    story.told["destroyed"] = rig.objects()
    story.told["sold out at first, preview"] = rig.pulumi("preview").stdout
    story.up("sold out at first")
    (folder / "story.json").write_text(json.dumps(story.told))
    rig.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
