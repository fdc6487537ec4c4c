"""The commands' guards: whose local cloud is taken down, one command at a time, a port that is none."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from localcloud import cli, daemon
from localcloud.backend import BackendError
from localcloud.commands import down
from localcloud.machines import cleanup, process, whole
from tests.support import wait_for


@pytest.fixture
def touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `down` did; nothing of the host is touched."""
    done: list[str] = []
    monkeypatch.setattr(cleanup, "teardown", lambda paths: done.append("teardown"))
    monkeypatch.setattr(cleanup, "leftovers", lambda paths: [])
    monkeypatch.setattr(whole, "shut_down", lambda paths: done.append("shut_down"))
    monkeypatch.setattr(down, "need_root", lambda paths: None)
    for module in (down, cleanup):
        monkeypatch.setattr(module, "OWNER_FILE", tmp_path / "owner.json")
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEKHA_CLOUD_DIR", str(tmp_path / "mine"))
    return done


def test_down_leaves_another_living_local_cloud_alone(
    tmp_path: Path, touched: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    (other / "run").mkdir(parents=True)
    (tmp_path / "owner.json").write_text(json.dumps({"cloud": str(other)}))
    me = process.process(os.getpid())
    assert me is not None
    me.save(other / "run" / "daemon.pid")
    assert cli.main(["down"]) == 1
    assert touched == []
    assert f"SEKHA_CLOUD_DIR={other} bin/localcloud down" in capsys.readouterr().err

    (other / "run" / "daemon.pid").unlink()  # a dead one's remains are removed
    assert cli.main(["down"]) == 0
    assert touched == ["shut_down", "teardown"]


def test_one_up_or_down_at_a_time(tmp_path: Path, touched: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    thread = threading.Thread(target=cli.main, args=(["down"],))
    thread.start()
    wait_for(lambda: "waiting for it" in capsys.readouterr().err, 10, "down waits")
    assert touched == []
    os.close(folder)
    thread.join(10)
    assert touched == ["shut_down", "teardown"]


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "-1"])
def test_a_port_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_PORT", text)
    with pytest.raises(BackendError, match="LOCALCLOUD_PORT"):
        daemon.port()
