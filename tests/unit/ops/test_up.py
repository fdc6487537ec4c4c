"""`up` tells no success that nobody has seen."""

from __future__ import annotations

import time

import pytest

from infra import release_rollout
from ops import up
from ops.engine import OperatorError


def test_a_service_that_does_not_answer_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "BOOTING", -1.0)
    outputs = {"url": "https://127.0.0.43", "address": "127.0.0.43", "caFile": ""}  # nobody listens there
    with pytest.raises(OperatorError, match=r"does not serve: .*does not answer from here.*REFRESH=1 make up STACK=s"):
        up.still_serves("s", outputs)


@pytest.mark.parametrize(("url", "domain"), [("https://a.example", "a.example"), ("https://198.51.100.9", "")])
def test_it_is_asked_as_clients_do(monkeypatch: pytest.MonkeyPatch, url: str, domain: str) -> None:
    asked: list[object] = []
    monkeypatch.setattr(release_rollout, "check_public", lambda *seen: asked.extend(seen[:3]))
    up.still_serves("s", {"url": url, "address": "198.51.100.9", "caFile": ""})
    assert asked == [domain, "198.51.100.9", None]


def test_a_booting_machine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([release_rollout.ReleaseError("refused"), release_rollout.ReleaseError("502"), None])

    def check(*_: object) -> None:
        if error := next(answers):
            raise error

    monkeypatch.setattr(release_rollout, "check_public", check)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    up.still_serves("s", {"url": "https://198.51.100.9", "address": "198.51.100.9", "caFile": ""})
    assert next(answers, "all used") == "all used"
