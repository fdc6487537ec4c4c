"""The web console's HTTP side: who is answered, what is in the answers and what must not be; where it is served."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from localcloud.api_only import ApiOnlyBackend
from localcloud.backend import BackendError
from localcloud.machines import output
from localcloud.web import serve
from localcloud.web.app import create_web
from tests.unit.localcloud.conftest import Rig

KEY = "k" * 32
OPEN = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def web(rig: Rig) -> Iterator[TestClient]:
    with TestClient(create_web(rig.cloud, KEY), base_url="http://127.0.0.1:8581") as client:
        yield client


@pytest.mark.parametrize("path", ["/data/state", "/data/servers/1/console", "/data/servers/1/journal", "/data/what"])
@pytest.mark.parametrize("key", [None, "", "Bearer ", "Bearer wrong", "Bearer k\u00e9y"])
def test_data_only_with_the_key(web: TestClient, path: str, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": key.encode()}
    assert web.get(path, headers=headers).status_code == 401  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "198.51.100.1:8581", ""])
def test_other_names_than_loopbacks_are_refused(web: TestClient, host: str) -> None:
    """A page of a name that was rebound to 127.0.0.1 sends that name."""
    for path in ("/", "/data/state"):
        assert web.get(path, headers={**OPEN, "Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8581", "localhost:9000"])
def test_loopback_and_a_tunnel_to_it_are_answered(web: TestClient, host: str) -> None:
    assert web.get("/data/state", headers={**OPEN, "Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/static/console.css", "/data/state", "/nothing"])
def test_headers_that_keep_foreign_pages_out(web: TestClient, path: str) -> None:
    headers = web.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def test_it_only_reads(web: TestClient) -> None:
    for path in ("/", "/data/state", "/data/servers/1/console"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert web.request(method, path, headers=OPEN).status_code == 405


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"])
def test_files_are_those_of_the_console(web: TestClient, path: str) -> None:
    assert web.get(path).status_code == 404


def test_no_secret_is_in_the_state(rig: Rig, web: TestClient, key: str) -> None:
    """Neither user-data nor root passwords nor tokens, also while a machine is being made."""
    rig.backend.delay = 0.5
    body = {"name": "s", "server_type": "cx23", "image": "debian-13", "location": "fsn1", "user_data": "pass-phrase"}
    made = rig.ask("POST", "/servers", body, 201)
    rig.ask("POST", "/ssh_keys", {"name": "k", "public_key": key}, 201)
    text = web.get("/data/state", headers=OPEN).text
    assert '"name":"s"' in text
    for secret in ("pass-phrase", made["root_password"], rig.token, KEY):
        assert secret not in text
    rig.backend.delay = 0


def test_the_same_state_is_not_sent_again(rig: Rig, web: TestClient) -> None:
    first = web.get("/data/state", headers=OPEN)
    again = {**OPEN, "If-None-Match": first.headers["etag"]}
    assert web.get("/data/state", headers=again).status_code == 304
    rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16"}, 201)
    assert web.get("/data/state", headers=again).json()["networks"][0]["name"] == "n"


def test_a_project_that_is_not_there_is_the_first(rig: Rig, web: TestClient) -> None:
    other = rig.cloud.store.add_project("other")
    first = json.loads(web.get("/data/state", headers=OPEN).text)["project"]
    for text, project in ((str(other), other), ("999", first), ("x", first), ("", first)):
        assert web.get(f"/data/state?project={text}", headers=OPEN).json()["project"] == project


def test_output_of_a_machine(rig: Rig, web: TestClient) -> None:
    assert web.get("/data/servers/7/console", headers=OPEN).status_code == 404
    body = {"name": "s", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}
    number = rig.done(rig.ask("POST", "/servers", body, 201))["server"]["id"]
    rig.backend.consoles[number] = "booting"
    path = f"/data/servers/{number}"
    assert web.get(f"{path}/console", headers=OPEN).json() == {"text": "booting", "next": 7}
    assert web.get(f"{path}/console?from=4", headers=OPEN).json() == {"text": "ing", "next": 7}
    assert web.get(f"{path}/console?from=x", headers=OPEN).status_code == 409
    rig.done(rig.ask("POST", f"/servers/{number}/actions/poweroff", status=201))
    off = web.get(f"{path}/journal", headers=OPEN)
    assert (off.status_code, off.json()) == (409, {"error": "the machine is off: its journal is inside it"})


def test_a_console_is_read_piece_by_piece(tmp_path: Path) -> None:
    assert output.console(tmp_path, -1) == ("", 0)
    file = tmp_path / "console.log"
    file.write_bytes("größer".encode()[:4])  # the second half of a letter is yet to come
    assert output.console(tmp_path, -1) == ("gr\u00f6", 4)
    file.write_bytes("größer".encode()[:5])
    assert output.console(tmp_path, 4) == ("", 4)
    file.write_bytes("größer".encode())
    assert output.console(tmp_path, 4) == ("ßer", 8)
    assert output.console(tmp_path, 8) == ("", 8)
    assert output.console(tmp_path, 99) == ("größer", 8)  # the log began anew
    file.write_bytes(b"x" * (output.FIRST + 10))
    assert output.console(tmp_path, -1) == ("x" * output.FIRST, output.FIRST + 10)


@pytest.mark.parametrize("cursor", ["; reboot", "s=1 --vacuum-size=1", "x" * 301, "$(id)"])
def test_a_cursor_is_nothing_else(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        output.journal(tmp_path, cursor)


def test_the_port_is_the_one_after_the_apis_or_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCALCLOUD_WEB_PORT", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert serve.wanted_port(port - 1) == 0
    assert serve.wanted_port(port - 1) == port
    monkeypatch.setenv("LOCALCLOUD_WEB_PORT", "eighty")
    with pytest.raises(BackendError, match="LOCALCLOUD_WEB_PORT='eighty'"):
        serve.wanted_port(8580)


def test_the_key_is_made_once_for_root_alone(tmp_path: Path) -> None:
    key = serve.key_of(tmp_path)
    assert len(key) == 32
    assert serve.key_of(tmp_path) == key
    assert (tmp_path / "web-key").stat().st_mode & 0o777 == 0o600


def test_without_machines_what_runs_is_kept(tmp_path: Path) -> None:
    backend = ApiOnlyBackend(tmp_path)
    backend.running |= {1, 2}
    backend.stop_server(1, hard=True)
    again = ApiOnlyBackend(tmp_path)
    assert (again.is_running(1), again.is_running(2)) == (False, True)
    again.delete_server(2)
    assert ApiOnlyBackend(tmp_path).running == set()
