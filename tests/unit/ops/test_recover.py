"""Carrying out the decision: rows leave no reference behind, lost data stop everything, a preview changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.clouds import hetzner_inventory as cloud
from infra.reconcile import DataRecord, Decision, Found, Known
from ops import data_record, recover
from ops.engine import Engine, OperatorError
from ops.state_edit import without
from tests.unit.infra import samples

STATE: dict[str, Any] = {
    "version": 3,
    "deployment": {
        "pending_operations": [{"type": "creating", "resource": {"urn": "u::one"}}],
        "resources": [
            {"urn": "u::stack", "type": "pulumi:pulumi:Stack"},
            {"urn": "u::one", "type": cloud.SERVER, "id": "1"},
            {"urn": "u::one", "type": cloud.SERVER, "id": "9", "delete": True},
            {
                "urn": "u::data", "type": cloud.VOLUME, "id": "2", "dependencies": ["u::one", "u::stack"],
                "propertyDependencies": {"serverId": ["u::one"], "size": None}, "deletedWith": "u::one",
                "outputs": {"serverId": 1.0},
            },
        ],
    },
}  # fmt: skip


def test_a_row_goes_with_all_that_names_it() -> None:
    made = without(STATE, {("u::one", "1"), ("u::one", "9")})["deployment"]
    assert [row["urn"] for row in made["resources"]] == ["u::stack", "u::data"]
    assert made["resources"][1]["dependencies"] == ["u::stack"]
    assert made["resources"][1]["propertyDependencies"] == {"serverId": [], "size": []}
    assert "u::one" not in json.dumps(made)
    assert "pending_operations" not in made
    assert "pending_operations" in STATE["deployment"], "the argument stays as it is"


def test_one_of_two_rows_of_a_name_may_go_alone() -> None:
    made = without(STATE, {("u::one", "9")})["deployment"]
    assert [row.get("id") for row in made["resources"]] == [None, "1", "2"]
    assert made["resources"][2]["dependencies"] == ["u::one", "u::stack"]


class Recorder(Engine):
    """An engine that only notes what it is told."""

    def __init__(self) -> None:
        super().__init__("test")
        self.calls: list[tuple[str, ...]] = []
        self.read: list[str] = []

    def capture(self, *arguments: str, stdin: str | None = None) -> str:
        self.calls.append(arguments)
        if "--file" in arguments:
            self.read.append(Path(arguments[arguments.index("--file") + 1]).read_text())
        return json.dumps(STATE)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(recover, "settings_of", lambda _: samples.settings())
    monkeypatch.setattr(data_record, "refuse_other_kind", lambda _: None)
    monkeypatch.delenv("ACCEPT_DATA_LOSS", raising=False)
    return Recorder()


def _decided(monkeypatch: pytest.MonkeyPatch, decision: Decision) -> None:
    monkeypatch.setattr(recover, "look", lambda *_: decision)


def test_an_orphan_is_imported_below_the_stacks_component(engine: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    _decided(monkeypatch, Decision(adopt=(Found(cloud.VOLUME, "data", "7", "sekha-test-data", data=True),)))
    assert recover.recover(engine) == []
    assert [call[:2] for call in engine.calls] == [("stack", "export"), ("stack", "import"), ("import", "--file")]
    asked = json.loads(engine.read[0])["resources"]
    assert asked[0] == {"type": cloud.COMPONENT, "name": "test", "component": True}
    assert {key: asked[1][key] for key in ("type", "name", "id", "parent")} == {
        "type": cloud.VOLUME, "name": "data", "id": "7", "parent": "test",
    }  # fmt: skip
    assert "--protect=true" in engine.calls[2], "as the stack's data are"


def test_what_is_gone_is_left_to_a_refresh(engine: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    _decided(monkeypatch, Decision(missing=(Known("u::one", cloud.SERVER, "one", "1"),)))
    assert recover.recover(engine) == ["--refresh"]


def test_a_machine_that_is_off_is_started_but_not_to_be_destroyed(
    engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(cloud, "start", lambda _, number: started.append(number))
    _decided(monkeypatch, Decision(start=(Found(cloud.SERVER, "one", "1", "sekha-test-1", off=True),)))
    recover.recover(engine, destroying=True)
    assert started == []
    recover.recover(engine)
    assert started == ["1"]


def test_a_volume_that_hangs_nowhere_is_attached_and_its_server_started_once(
    engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, ...]] = []
    monkeypatch.setattr(cloud, "reattach", lambda _, volume, server: done.append((volume, server)))
    monkeypatch.setattr(cloud, "start", lambda _, number: done.append((number,)))
    volume = Found(cloud.VOLUME, "data", "2", "sekha-test-data", data=True)
    server = Found(cloud.SERVER, "one", "1", "sekha-test-1", off=True)
    _decided(monkeypatch, Decision(start=(server,), reattach=((volume, "1"),)))
    recover.recover(engine, destroying=True)
    assert done == []
    recover.recover(engine)
    assert done == [("2", "1")]


def test_lost_data_stop_everything_until_the_loss_is_accepted(
    engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[object] = []
    withdrawn: list[object] = []
    monkeypatch.setattr(data_record, "end", ended.append)
    monkeypatch.setattr(data_record, "withdraw", withdrawn.append)
    monkeypatch.setattr(data_record, "restorable", lambda _: False)
    _decided(monkeypatch, Decision(lost="the volume 2 is gone", missing=(Known("u::data", cloud.VOLUME, "data", "2"),)))
    for word in ("", "1", "other"):
        monkeypatch.setenv("ACCEPT_DATA_LOSS", word)
        with pytest.raises(OperatorError, match=r"volume 2 is gone.*ACCEPT_DATA_LOSS=test make up STACK=test"):
            recover.recover(engine)
    assert [call[:2] for call in engine.calls] == [("stack", "export")] * 3
    assert ended == withdrawn == []
    monkeypatch.setenv("ACCEPT_DATA_LOSS", "test")
    assert recover.recover(engine) == ["--refresh"]
    assert ended == withdrawn == [samples.settings()], "no new machine waits for the volume that is gone"


def test_lost_data_are_restored_where_there_are_backups(engine: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    withdrawn: list[object] = []
    monkeypatch.setattr(data_record, "restorable", lambda _: True)
    monkeypatch.setattr(data_record, "withdraw", withdrawn.append)
    _decided(monkeypatch, Decision(lost="the volume 2 is gone", missing=(Known("u::data", cloud.VOLUME, "data", "2"),)))
    assert recover.recover(engine) == ["--refresh"]
    assert len(withdrawn) == 1


def _look(monkeypatch: pytest.MonkeyPatch, found: list[Found], record: DataRecord | None, *rows: str) -> Decision:
    """`look` with a cloud that has `found` and a bucket that says `record` (None: it must not be asked)."""

    def read(_: object) -> DataRecord:
        assert record is not None, "the bucket was asked"
        return record

    monkeypatch.setattr(cloud, "inventory", lambda _: found)
    monkeypatch.setattr(data_record, "read", read)
    extra = [{"urn": "u::r", "type": kind, "id": "x"} for kind in rows]
    state = {"deployment": {"resources": [*STATE["deployment"]["resources"], *extra]}}
    return recover.look(state, samples.settings(), cloud)


def test_the_bucket_is_asked_only_when_the_volume_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Found(cloud.VOLUME, "data", "2", "sekha-test-data", data=True)
    assert _look(monkeypatch, [volume], None).lost == ""
    assert "volume 2" in _look(monkeypatch, [], DataRecord(volume="2")).lost


def test_the_state_tells_where_a_volume_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Found(cloud.VOLUME, "data", "2", "sekha-test-data", data=True),
        Found(cloud.SERVER, "one", "1", "sekha-test-1"),
    ]
    assert _look(monkeypatch, found, None).reattach == ((found[0], "1"),)


def test_with_the_bucket_lost_too_the_states_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _look(monkeypatch, [], DataRecord()).lost == "", "nothing ever served"
    assert "volume 2" in _look(monkeypatch, [], DataRecord(), recover.RELEASE).lost
    assert _look(monkeypatch, [], DataRecord(volume="2", ended=True), recover.RELEASE).lost == ""
