"""What a killed engine leaves behind, and commands that nobody is there to answer."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops import __main__ as ops_main
from ops import init, stale_lock, status
from ops.engine import Engine, OperatorError


def _lock(state: Path, stack: str, content: str) -> Path:
    path = state / ".pulumi" / "locks" / "organization" / "sekha" / stack / "1.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def _content(pid: int, host: str = "") -> str:
    return json.dumps({"pid": pid, "username": "root", "hostname": host or socket.gethostname()})


def _dead() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_the_lock_of_a_killed_engine_is_removed(tmp_path: Path) -> None:
    path, other = _lock(tmp_path, "prod", _content(_dead())), _lock(tmp_path, "other", _content(_dead()))
    (line,) = stale_lock.break_stale(tmp_path, "prod")
    assert "removed the lock" in line
    assert not path.exists()
    assert other.exists()


def test_a_number_that_another_program_has_by_now_counts_as_dead(tmp_path: Path) -> None:
    path = _lock(tmp_path, "prod", _content(os.getpid()))
    assert stale_lock.break_stale(tmp_path, "prod")
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", _content(_dead(), "elsewhere")])
def test_locks_of_others_and_unreadable_ones_stay(tmp_path: Path, content: str) -> None:
    path = _lock(tmp_path, "prod", content)
    assert stale_lock.break_stale(tmp_path, "prod") == []
    assert path.exists()


def test_a_torn_note_beside_a_state_is_removed_and_whole_ones_stay(tmp_path: Path) -> None:
    """The engine answers `EOF` to an empty one, for every stack of the folder."""
    stacks = tmp_path / ".pulumi/stacks/sekha"
    stacks.mkdir(parents=True)
    for name, content in {"a.json": "{}", "a.json.attrs": "", "b.json.attrs": '{"md5"', "c.json.attrs": "{}"}.items():
        (stacks / name).write_text(content)
    (tmp_path / ".pulumi/meta.yaml.attrs").write_text("")
    said = stale_lock.drop_torn_sidecars(tmp_path)
    assert sorted(line.split()[1] for line in said) == ["a.json.attrs,", "b.json.attrs,", "meta.yaml.attrs,"]
    assert sorted(path.name for path in stacks.iterdir()) == ["a.json", "c.json.attrs"]


def test_of_a_locked_stack_no_note_is_touched(tmp_path: Path) -> None:
    _lock(tmp_path, "prod", _content(7, "elsewhere"))
    torn = tmp_path / ".pulumi/stacks/sekha/prod.json.attrs"
    torn.parent.mkdir(parents=True)
    torn.write_text("")
    assert stale_lock.drop_torn_sidecars(tmp_path) == []
    assert torn.exists()


def test_the_lock_of_a_running_engine_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale_lock, "alive", lambda pid: pid == 7)
    path = _lock(tmp_path, "prod", _content(7))
    assert stale_lock.break_stale(tmp_path, "prod") == []
    assert path.exists()


def test_status_says_why_a_stack_can_not_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: Engine) -> dict[str, Any]:
        raise OperatorError("passphrase must be set")

    monkeypatch.setattr(Engine, "outputs", refuse)
    status.status("prod")
    assert capsys.readouterr().out.strip() == "stack 'prod': passphrase must be set"


def test_destroy_without_a_terminal_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONFIRM", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(OperatorError, match="set CONFIRM=prod; nothing was changed"):
        ops_main.destroy("prod")


def test_init_asks_for_the_object_stores_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"sekha:nodeAccessKey": " typed ", "sekha:nodeSecretKey": ""}
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(init, "getpass", lambda prompt: answers[prompt.split()[0]])
    assert init.ask(list(answers)) == {"sekha:nodeAccessKey": "typed"}
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert init.ask(list(answers)) == {}
