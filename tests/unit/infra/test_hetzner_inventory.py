"""Asking Hetzner what a stack has, and for actions: waited for to their end, refusals named."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from infra.clouds import CloudError
from infra.clouds import hetzner_inventory as cloud
from tests.unit.infra import samples


class Api:
    """Answers by path; a list is one answer after the other. Remembers what was asked for."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.posted = answers, list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1")
        if request.method == "POST":
            self.posted.append(path)
        answer = self.answers.get(path, {path.strip("/"): []})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.clouds.hetzner_inventory.time.sleep", lambda _: None)


def _server(status: str) -> dict[str, Any]:
    labels = {"sekha-stack": "test", "sekha-urn": "server.sekha-test-1"}
    return {"servers": [{"id": 1, "name": "sekha-test-1", "labels": labels, "status": status, "private_net": []}]}


def test_what_a_killed_engine_left_in_motion_is_waited_for() -> None:
    api = Api({"/servers": [_server("initializing"), _server("starting"), _server("off")]})
    (found,) = cloud.inventory(samples.settings(), httpx.MockTransport(api))
    assert (found.type, found.name, found.off) == (cloud.SERVER, "sekha-test-1", True)


def test_what_never_settles_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "SETTLED_WITHIN", -1.0)
    with pytest.raises(CloudError, match=r"still not settled.*sekha-test-1 \(deleting\)"):
        cloud.inventory(samples.settings(), httpx.MockTransport(Api({"/servers": _server("deleting")})))


def _action(status: str, error: object = None) -> dict[str, Any]:
    return {"action": {"id": 9, "status": status, "error": error}}


def test_a_volume_is_attached_while_its_server_is_off() -> None:
    api = Api({
        "/servers/1/actions/poweroff": _action("running"), "/volumes/2/actions/attach": _action("success"),
        "/servers/1/actions/poweron": _action("running"), "/actions/9": [_action("running"), _action("success")],
    })  # fmt: skip
    cloud.reattach(samples.settings(), "2", "1", httpx.MockTransport(api))
    assert api.posted == ["/servers/1/actions/poweroff", "/volumes/2/actions/attach", "/servers/1/actions/poweron"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(423, text="locked"), "answered POST /servers/1/actions/poweron with 423: locked"),
        (_action("error", {"message": "no host"}), "poweron at Hetzner's API: error.*no host"),
    ],
)
def test_a_refused_or_failed_action_is_named(answer: Any, said: str) -> None:
    with pytest.raises(CloudError, match=said):
        cloud.start(samples.settings(), "1", httpx.MockTransport(Api({"/servers/1/actions/poweron": answer})))
