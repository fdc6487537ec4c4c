"""Transport: tokens, routes, bodies, headers, error envelopes, projects."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from localcloud.api.access import RATE_LIMIT, Buckets
from localcloud.worker import Settings
from tests.unit.localcloud.conftest import Rig

REFUSED = [
    ("GET", "/nothing", (404, "not_found")),
    ("GET", "/servers/abc", (404, "not_found")),
    ("GET", "/servers/1", (404, "not_found")),
    ("GET", "/servers/99999999999999999999999", (404, "not_found")),
    ("DELETE", "/servers/1", (404, "not_found")),
    ("POST", "/servers/1/actions/poweron", (404, "not_found")),
    ("POST", "/servers/1/actions/dance", (404, "not_found")),
    ("GET", "/servers/1/actions", (404, "not_found")),
    ("GET", "/actions/1000", (404, "not_found")),
    ("GET", "/server_types/1", (404, "not_found")),
    ("GET", "/folders", (404, "not_found")),
    ("PATCH", "/servers", (405, "method_not_allowed")),
    ("POST", "/locations", (405, "method_not_allowed")),
    ("POST", "/images", (405, "method_not_allowed")),
    ("GET", "/actions", (410, "deprecated_api_endpoint")),
    ("GET", "/networks?page=0", (422, "invalid_input")),
    ("GET", "/networks?label_selector=a%3Db%3Dc", (422, "invalid_input")),
    ("GET", "/networks?sort=colour", (422, "invalid_input")),
]


def test_refusals(rig: Rig) -> None:
    for method, path, expected in REFUSED:
        assert rig.error(method, path) == expected, path


def test_tokens(rig: Rig) -> None:
    reader = rig.cloud.store.add_token(rig.cloud.store.projects()[0][0], read_only=True)
    network = {"name": "n", "ip_range": "10.0.0.0/16"}
    with rig.http("x" * 64) as http:
        answer = http.get("/servers")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        assert answer.json()["error"]["message"] == "unable to authenticate"
        assert answer.headers["content-type"].startswith("application/json")
        del http.headers["authorization"]
        assert http.get("/nothing").status_code == 401
    with rig.http(reader) as http:
        assert http.get("/networks").status_code == 200
        answer = http.post("/networks", json=network)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token_readonly")
    rig.ask("POST", "/networks", network, 201)


def test_bodies(rig: Rig) -> None:
    with rig.http() as http:
        made = http.post("/networks", content=b'{"name":"n","ip_range":"10.0.0.0/16","labels":null,"unknown":1}')
        assert made.status_code == 201
        assert made.json()["network"]["labels"] == {}
        path = f"/networks/{made.json()['network']['id']}/actions/change_protection"
        for body in (b"", b"{}", b"null"):  # no Content-Type either
            assert http.post(path, content=body).status_code == 201
        for body in (b"{", b"[]", b"\xff"):
            answer = http.post("/networks", content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "json_error")
        assert http.put(f"/networks/{made.json()['network']['id']}", json={"name": ""}).json()["network"]["name"] == "n"


def test_headers(rig: Rig) -> None:
    with rig.http() as http:
        answer = http.get("/servers")
        assert answer.headers["ratelimit-limit"] == "3600"
        assert int(answer.headers["ratelimit-remaining"]) < 3600
        assert re.fullmatch(r"\d{10}", answer.headers["ratelimit-reset"])
        assert answer.headers["x-correlation-id"]
        assert http.get(rig.endpoint + "//servers").status_code == 200


def test_the_bucket_refills_at_one_a_second() -> None:
    buckets = Buckets()
    for _ in range(RATE_LIMIT):
        assert buckets.take(1, 1000.0)[2]
    assert buckets.take(1, 1000.0) == (0, 1000 + RATE_LIMIT, False)
    assert buckets.take(2, 1000.0)[2]
    assert buckets.take(1, 1002.0) == (1, 1002 + RATE_LIMIT - 1, True)


class TestRateLimit:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(rate_limit=3600)

    def test_it_is_enforced_when_told_so(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        assert rig.ask("GET", "/servers", status=200)
        monkeypatch.setattr(Buckets, "take", lambda self, project, moment: (0, 4600, False))
        assert rig.error("GET", "/servers") == (429, "rate_limit_exceeded")


class TestSmallLimit:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(rate_limit=2)

    def test_the_headers_tell_when_there_is_room_again(self, rig: Rig) -> None:
        with rig.http() as http:
            answers = [http.get("/servers") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["ratelimit-limit"] for answer in answers] == ["2"] * 3
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
        other = rig.cloud.store.add_token(rig.cloud.store.add_project("other"))
        with rig.http(other) as http:  # each project has its own
            assert http.get("/servers").status_code == 200


def test_projects_do_not_see_each_other(rig: Rig) -> None:
    store = rig.cloud.store
    other = store.add_token(store.add_project("other"))
    network = rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16"}, 201)["network"]
    with rig.http(other) as http:
        assert http.get("/networks").json()["networks"] == []
        assert http.get(f"/networks/{network['id']}").status_code == 404
        assert http.post("/networks", json={"name": "n", "ip_range": "10.0.0.0/16"}).status_code == 201
    assert rig.error("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16"}) == (409, "uniqueness_error")


def test_a_failed_check_changes_nothing(rig: Rig) -> None:
    before = rig.cloud.store.next_id()
    body = {"name": "s", "server_type": "cx23", "image": "debian-13", "firewalls": [{"firewall": 4711}]}
    assert rig.error("POST", "/servers", body) == (404, "not_found")
    assert rig.error("POST", "/servers", {**body, "firewalls": [], "volumes": [4711]}) == (404, "not_found")
    assert rig.cloud.store.next_id() == before + 1


def test_fifteen_creates_at_once(rig: Rig) -> None:
    def create(name: str) -> int:
        with rig.http() as http:
            body = {"name": name, "server_type": "cx23", "image": "debian-13"}
            return http.post("/servers", json=body).status_code

    with ThreadPoolExecutor(15) as pool:
        assert sorted(pool.map(create, ["same"] * 15)) == [201] + [409] * 14
        assert list(pool.map(create, [f"s{n}" for n in range(15)])) == [201] * 15
    servers = rig.ask("GET", "/servers")["servers"]
    assert len({server["id"] for server in servers}) == 16
    assert len({server["public_net"]["ipv4"]["ip"] for server in servers}) == 16


def test_lists(rig: Rig) -> None:
    for number in range(7):
        body = {"name": f"g{number}", "type": "spread", "labels": {"odd": str(number % 2)}}
        rig.ask("POST", "/placement_groups", body, 201)
    with rig.http() as http:
        first = http.get("/placement_groups?per_page=3&label_selector=odd")
        assert first.json()["meta"] == {
            "pagination": {
                "page": 1, "per_page": 3, "previous_page": None, "next_page": 2, "last_page": 3, "total_entries": 7,
            }
        }  # fmt: skip
        assert 'page=2>; rel="next"' in first.headers["link"]
        assert "label_selector=odd" in first.headers["link"]
        assert 'page=3>; rel="last"' in first.headers["link"]
        assert 'rel="prev"' not in first.headers["link"]
        last = http.get("/placement_groups?per_page=3&page=3").json()
        assert [row["name"] for row in last["placement_groups"]] == ["g6"]
        assert last["meta"]["pagination"]["next_page"] is None
        assert last["meta"]["pagination"]["previous_page"] == 2
        assert http.get("/placement_groups?page=9").json()["placement_groups"] == []
        empty = http.get("/placement_groups?name=g").json()  # the name is matched exactly
        assert empty["placement_groups"] == []
        assert (empty["meta"]["pagination"]["last_page"], empty["meta"]["pagination"]["total_entries"]) == (1, 0)
        assert http.get("/placement_groups?per_page=1000").json()["meta"]["pagination"]["per_page"] == 50
        rows = http.get("/placement_groups?label_selector=odd%3D1&sort=name:desc").json()["placement_groups"]
        assert [row["name"] for row in rows] == ["g5", "g3", "g1"]
        rows = http.get("/placement_groups?name=g3").json()["placement_groups"]
        assert [row["name"] for row in rows] == ["g3"]
