"""Hostile input ends in a 4xx with the contract's body; the service answers on, and doesn't grow."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.rig import API_KEY, Service

CREATE = "/api/v1/conversations"
_GOOD = '{"label": "x", "messages": []}'


def _content(text: str) -> bytes:
    return b'{"label": "x", "messages": [{"role": "user", "content": ' + text.encode() + b"}]}"


_DEEP = 50_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"label=x",
    "cut off": b'{"label": "x", "messages": [',
    "a list": b"[]",
    "null": b"null",
    "deep lists": b"[" * _DEEP + b"]" * _DEEP,
    "deep objects": b'{"label": "x", "messages": [], "metadata": ' + b'{"a":' * _DEEP + b"1" + b"}" * _DEEP + b"}",
    "NUL in a text": _content('"a\\u0000b"'),
    "NUL in a key": b'{"label": "x", "messages": [], "metadata": {"a\\u0000": 1}}',
    "lone surrogate": _content('"\\ud800"'),
    "lone surrogate in a label": b'{"label": "\\udfff", "messages": []}',
    "not UTF-8": b'{"label": "\xff\xfe", "messages": []}',
    "UTF-16": _GOOD.encode("utf-16"),
    "BOM": b"\xef\xbb\xbf" + _GOOD.encode(),
    "NaN": b'{"label": "x", "messages": [], "importance_score": NaN}',
    "Infinity": b'{"label": "x", "messages": [], "importance_score": Infinity}',
    "1e999": b'{"label": "x", "messages": [], "importance_score": 1e999}',
    "huge whole number": b'{"label": "x", "messages": [], "importance_score": ' + b"9" * 5000 + b"}",
    "a number as label": b'{"label": 1, "messages": []}',
    "a long label": json.dumps({"label": "x" * 501, "messages": []}).encode(),
    "an object as message": b'{"label": "x", "messages": {"0": 1}}',
    "time of the year 0": b'{"label":"x","messages":[{"role":"u","content":"x","timestamp":"0000-00-00T00:00:00"}]}',
    "time before all": b'{"label":"x","messages":[{"role":"u","content":"x","timestamp":"0001-01-01T00:00:00+23:59"}]}',
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(service: Service, name: str) -> None:
    response = service.client.post(CREATE, content=BODIES[name], headers={"Content-Type": "application/json"})
    _refused(response.status_code, response.text)


@pytest.mark.parametrize(
    "path",
    [
        f"{CREATE}/not-a-uuid",
        f"{CREATE}/00000000-0000-4000-8000-00000000000g",
        f"{CREATE}/%00",
        f"{CREATE}/{'a' * 5000}",
        f"{CREATE}/..%2f..%2fetc%2fpasswd",
        f"{CREATE}/';DROP TABLE conversations;--",
        f"{CREATE}?page=1e9",
        f"{CREATE}?page_size=%F0",
        f"{CREATE}?label=%00",
        f"{CREATE}?pinned=perhaps",
        "/api/v1/nothing",
        "/%ff%fe",
        "//",
    ],
)
def test_addresses(service: Service, path: str) -> None:
    response = service.client.get(path)
    _refused(response.status_code, response.text)


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE messages; --", '"', "a & | ! <-> :*", "\\", "%", "${jndi}", "{{7*7}}", "\u202e", "(" * 3000]
)
def test_injection_is_only_text(service: Service, text: str) -> None:
    made = service.create("injected", text, folder=text[:400])
    assert service.client.get(f"{CREATE}/{made['id']}").json()["messages"][0]["content"] == text
    for path, body in (
        ("/api/v1/search/fts", {"query": text}),
        ("/api/v1/query", {"query": text, "filters": {"label": text, "folder": text}}),
        ("/api/v1/context/assemble", {"query": text, "preferred_labels": [text]}),
    ):
        assert service.client.post(path, json=body).status_code == 200, path
    assert service.client.get(CREATE, params={"label": text, "folder": text}).status_code == 200


@pytest.mark.parametrize("field", ["query", "limit", "offset", "filters"])
@pytest.mark.parametrize("value", [[], {"$ne": 1}, True, -1, 1.5, 10**400, "x" * 100, [[[]]]], ids=repr)
def test_queries_of_wrong_types(service: Service, field: str, value: object) -> None:
    response = service.client.post("/api/v1/query", json={"query": "x", field: value})
    assert response.status_code in (200, 400), response.text


def test_large_and_endless_bodies(service: Service) -> None:
    before = _memory(service)
    for _ in range(3):
        response = service.client.post(CREATE, content=b"x" * (11 * 2**20))
        _refused(response.status_code, response.text)

    def endless() -> Iterator[bytes]:
        for _ in range(12):
            yield b" " * 2**20

    response = service.client.post(CREATE, content=endless())
    _refused(response.status_code, response.text)
    assert _memory(service) < before + 150


def test_slow_and_broken_connections_leave_the_service_alone(service: Service) -> None:
    head = f"POST {CREATE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\nContent-Length: 1000\r\n\r\n{{"
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(200)]
    for number, connection in enumerate(slow):
        connection.sendall(head.encode()[: len(head) if number % 2 else 40])
    assert service.client.get(f"{CREATE}/count").status_code == 200, "others are served meanwhile"
    for connection in slow:
        connection.close()
    for rubbish in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"A" * 70_000):
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
            connection.sendall(rubbish)
    assert service.status() == 200
    assert "Traceback" not in service.log.read_text()


def _refused(status: int, body: str) -> None:
    assert 400 <= status < 500, body
    answer = json.loads(body)
    assert answer["code"] == status
    assert isinstance(answer["error"], str)
    assert "Traceback" not in body


def _memory(service: Service) -> float:
    assert service.process
    pid = service.process._process.pid
    found = 0
    for child in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
        lines = Path(f"/proc/{child}/status").read_text().splitlines()
        found += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return found / 1024
