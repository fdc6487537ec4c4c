"""`make rotate`: which config value changes, and what is refused before anything does."""

from __future__ import annotations

from typing import Any

import pytest

from infra import checks
from ops.engine import OperatorError
from ops.rotate import rotate


class FakeEngine:
    """An engine that notes what is set, and the stacks that are brought up."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.ups: list[str] = []

    def set(self, name: str, value: str, *, secret: bool) -> None:
        assert secret
        self.values[name] = value


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("ops.local.engine_of", lambda stack: fake)
    monkeypatch.setattr("ops.up.prepared", lambda engine: engine)
    monkeypatch.setattr("ops.up.up", fake.ups.append)
    return fake


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [
        ("api", "sekha:apiKey", checks.api_key),
        ("stack", "sekha:stackKey", checks.stack_key),
        ("signing", "sekha:signingKey", checks.signing_key),
    ],
)
def test_a_valid_new_key_is_stored_and_brought_up(
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    name: str,
    check: Any,
) -> None:
    monkeypatch.setenv("KEY", kind)
    rotate("prod")
    first = engine.values[name]
    check(first)
    rotate("prod")
    assert engine.values[name] != first
    assert (list(engine.values), engine.ups) == ([name], ["prod", "prod"])
    assert first not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("kind", "message"), [("", "say which: api, signing"), ("bucket", "nothing was changed")])
def test_refused_without_a_change(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, kind: str, message: str) -> None:
    monkeypatch.setenv("KEY", kind)
    monkeypatch.setattr("ops.rotate.ask", lambda names: {names[0]: "only half of it"})
    with pytest.raises(OperatorError, match=message):
        rotate("prod")
    assert (engine.values, engine.ups) == ({}, [])


def test_the_local_clouds_bucket_key_comes_from_it(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setenv("KEY", "bucket")
    monkeypatch.setattr("ops.local.new_node_key", lambda: made.append("x"))
    rotate("local")
    assert (made, engine.values, engine.ups) == (["x"], {}, ["local"])
