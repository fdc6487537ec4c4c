"""Placement is chosen once: what exists wins, else the first orderable choice; the API's refusals are named."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from infra import plan
from infra.clouds import CloudError, Placement
from infra.clouds.hetzner_api import place
from infra.plan import Choice
from tests.unit.infra import samples
from tests.unit.infra.samples import HETZNER

FSN, NBG = {"name": "fsn1"}, {"name": "nbg1"}


def _type(name: str, *locations: str, price: str | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "locations": [{"name": location, "available": True} for location in locations],
        "prices": [{"location": location, "price_monthly": {"net": price}} for location in locations if price],
    }


SOLD = [_type("cx23", "fsn1", "nbg1", price="3.9900"), _type("cx33", "fsn1", "nbg1", price="6.4900")]


def _place(answers: dict[str, list[dict[str, Any]]], status: int = 200, **changes: object) -> Placement:
    def answer(request: httpx.Request) -> httpx.Response:
        kind = request.url.path.rsplit("/", 1)[-1]
        if kind in ("servers", "volumes"):
            assert request.url.params["label_selector"] == "sekha-stack=test"
        return httpx.Response(status, json={kind: answers.get(kind, []), "meta": {"pagination": {"next_page": None}}})

    made = samples.settings(**changes)
    return place(plan.plan(made, HETZNER), made, HETZNER, httpx.MockTransport(answer))


def test_the_first_orderable_of_the_list_is_taken_and_the_skipped_are_named() -> None:
    assert _place({"server_types": SOLD}).choice == Choice("fsn1", "cx23")
    found = _place({"server_types": [_type("cx23", "nbg1")]}, serverTypes=["cx23"])
    assert found.choice == Choice("nbg1", "cx23")
    assert found.why == "first orderable of the configured list; not orderable: cx23 in fsn1"


def test_a_location_that_says_unavailable_is_not_orderable() -> None:
    gone = {"name": "cx23", "locations": [{"name": "fsn1", "available": False}]}
    with pytest.raises(
        CloudError, match="none of these can be ordered now: cx23 in fsn1, cx23 in nbg1; add to sekha:reg"
    ):
        _place({"server_types": [gone]}, serverTypes=["cx23"])


def test_an_existing_server_keeps_place_and_type_orderable_or_not() -> None:
    server = {"location": NBG, "server_type": {"name": "cx43"}}
    found = _place({"servers": [server]})
    assert (found.choice, found.why) == (Choice("nbg1", "cx43"), "where its server is")


def test_a_server_that_does_not_fit_any_more_gets_another_type_in_its_place() -> None:
    server = {"location": NBG, "server_type": {"name": "cx23"}}
    found = _place({"servers": [server], "server_types": SOLD}, conversations=90_000)
    assert found.choice == Choice("nbg1", "cx33")
    assert "in place of cx23" in found.why


def test_a_volume_without_a_server_decides_the_location() -> None:
    found = _place({"volumes": [{"location": NBG}], "server_types": SOLD})
    assert (found.choice, found.why) == (Choice("nbg1", "cx23"), "where its volume is")


def test_a_price_that_moved_is_noted() -> None:
    assert _place({"server_types": SOLD}).notes == ()
    (note,) = _place({"server_types": [_type("cx23", "fsn1", price="4.9900")]}).notes
    assert "costs 4.99 EUR" in note
    assert "not 3.99" in note


def test_ssh_keys_of_others_are_known_and_ours_are_not() -> None:
    theirs = {"id": 7, "public_key": "ssh-ed25519 AAAA someone", "labels": {}}
    ours = {"id": 8, "public_key": "ssh-ed25519 BBBB", "labels": {"sekha-stack": "test"}}
    assert _place({"server_types": SOLD, "ssh_keys": [theirs, ours]}).known_ssh_keys == {"ssh-ed25519 AAAA": 7}


@pytest.mark.parametrize(
    ("status", "message"), [(401, r"refused the token \(401\): set hcloud:token"), (503, "GET /servers with 503")]
)
def test_refusals_are_named(status: int, message: str) -> None:
    with pytest.raises(CloudError, match=message):
        _place({}, status)


def test_an_unreachable_api_is_named() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    made = samples.settings()
    with pytest.raises(CloudError, match=r"api\.hetzner\.cloud/v1 can't be reached .*check the network"):
        place(plan.plan(made, HETZNER), made, HETZNER, httpx.MockTransport(fail))
