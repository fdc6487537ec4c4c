"""The number that is told when the data are lost: asked of the service, noted only when it has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops import census, data_record, recover, up
from ops.engine import Engine, OperatorError
from ops.paths import stack_dir
from tests.unit.infra import samples

OUTPUTS = {"url": "https://198.51.100.9", "apiKey": "key", "caFile": ""}


@pytest.mark.parametrize(
    ("answer", "number"),
    [(httpx.Response(200, json={"total": 7}), 7), (httpx.Response(503, text="no"), None),
     (httpx.Response(200, text="<html>"), None), (httpx.ConnectError("refused"), None)],
)  # fmt: skip
def test_it_is_asked_of_the_service(monkeypatch: pytest.MonkeyPatch, answer: Any, number: int | None) -> None:
    def get(url: str, **_: object) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        assert url == "https://198.51.100.9/api/v1/conversations"
        answer.request = httpx.Request("GET", url)
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(httpx, "get", get)
    assert census.count(OUTPUTS) == number


def test_it_is_noted_when_it_has_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path))
    noted: list[int] = []
    monkeypatch.setattr(recover, "settings_of", lambda _: samples.settings())
    monkeypatch.setattr(data_record, "note", lambda _, number, as_of: noted.append(number))
    for number in (3, 3, None, 4):
        monkeypatch.setattr(census, "count", lambda _, number=number: number)
        assert up.take_census(Engine("s"), OUTPUTS) == number
        (stack_dir("s") / "last-up.json").write_text(json.dumps({"conversations": number}))
    assert noted == [3, 4]


def test_a_bucket_out_of_reach_fails_no_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperatorError("unreachable")

    monkeypatch.setattr(data_record, "note", fail)
    census.remember(samples.settings(), 3)
