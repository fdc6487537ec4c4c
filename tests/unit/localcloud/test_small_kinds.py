"""SSH keys and volumes."""

from __future__ import annotations

import pytest

from localcloud.api.ssh_keys import fingerprint
from tests.support import wait_for
from tests.unit.localcloud.conftest import Rig
from tests.unit.localcloud.test_servers import act, make


def test_ssh_keys(rig: Rig, key: str) -> None:
    text = f"{key} and more\n"
    made = rig.ask("POST", "/ssh_keys", {"name": "k", "public_key": text, "labels": {"a": "b"}}, 201)
    assert set(made) == {"ssh_key"}
    assert made["ssh_key"]["public_key"] == text  # byte for byte
    assert rig.error("POST", "/ssh_keys", {"name": "k2", "public_key": key}) == (409, "uniqueness_error")
    other = key.replace("JjbLNHn", "JjbLNHo")
    assert rig.error("POST", "/ssh_keys", {"name": "k", "public_key": other}) == (409, "uniqueness_error")
    found = rig.ask("GET", f"/ssh_keys?fingerprint={made['ssh_key']['fingerprint']}")["ssh_keys"]
    assert found == [made["ssh_key"]]
    path = f"/ssh_keys/{made['ssh_key']['id']}"
    changed = rig.ask("PUT", path, {"labels": {"c": "d"}}, 200)["ssh_key"]
    assert (changed["name"], changed["labels"]) == ("k", {"c": "d"})
    assert rig.error("PUT", path, {"labels": {"c": 1}}) == (422, "invalid_input")
    server = make(rig, ssh_keys=["k"])
    rig.ask("DELETE", path, status=204)
    assert rig.backend.servers[server["id"]].ssh_public_keys == (text,)


def test_fingerprint_is_the_md5_of_the_blob(key: str) -> None:
    # ssh-keygen -l -E md5 prints the same
    assert fingerprint(key) == fingerprint(f"{key} other comment")
    assert len(fingerprint(key).split(":")) == 16


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 x", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGSo", "hello AAAA"]
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        fingerprint(text)


def test_volumes(rig: Rig) -> None:
    body = {"name": "v", "size": 10, "location": "fsn1", "format": "ext4"}
    made = rig.done(rig.ask("POST", "/volumes", body, 201))
    assert (made["action"]["command"], made["next_actions"]) == ("create_volume", [])
    path = f"/volumes/{made['volume']['id']}"
    volume = rig.ask("GET", path)["volume"]
    assert volume["status"] == "available"
    assert volume["linux_device"] == f"/dev/disk/by-id/scsi-0HC_Volume_{volume['id']}"
    assert rig.backend.volumes == {volume["id"]: (10, "ext4")}
    for fields in (
        {"size": 9},
        {"size": 10241},
        {"size": "10"},
        {"location": None},
        {"server": 1},
        {"format": "ntfs"},
        {"name": "a b"},
        {"name": "x" * 65},
    ):
        assert rig.error("POST", "/volumes", {**body, "name": "w", **fields}) == (422, "invalid_input"), fields
    server = make(rig)
    rig.done(rig.ask("POST", f"{path}/actions/attach", {"server": server["id"], "automount": True}, 201))
    assert rig.ask("GET", path)["volume"]["server"] == server["id"]
    assert rig.ask("GET", f"/servers/{server['id']}")["server"]["volumes"] == [volume["id"]]
    assert ("attach_volume", volume["id"], server["id"], True) in rig.backend.calls
    assert rig.error("POST", f"{path}/actions/attach", {"server": server["id"]}) == (422, "volume_already_attached")
    assert rig.error("POST", f"{path}/actions/resize", {"size": 5}) == (422, "invalid_input")
    rig.done(rig.ask("POST", f"{path}/actions/resize", {"size": 20}, 201))
    assert rig.ask("GET", path)["volume"]["size"] == 20
    rig.done(rig.ask("POST", f"{path}/actions/detach", {}, 201))
    assert rig.ask("GET", path)["volume"]["server"] is None
    assert rig.error("POST", f"{path}/actions/detach", {})[0] == 422
    far = make(rig, name="far", location="hel1")
    assert rig.error("POST", f"{path}/actions/attach", {"server": far["id"]}) == (422, "invalid_input")
    act(rig, far, "poweroff")
    rig.done(rig.ask("POST", f"{path}/actions/change_protection", {"delete": True}, 201))
    assert rig.error("DELETE", path) == (423, "protected")
    rig.done(rig.ask("POST", f"{path}/actions/change_protection", {"delete": False}, 201))
    rig.ask("DELETE", path, status=204)
    assert rig.error("DELETE", path) == (404, "not_found")
    wait_for(lambda: rig.backend.volumes == {}, 5, "the data is gone", 0.01)


def test_a_volume_made_for_a_server(rig: Rig) -> None:
    server = make(rig)
    made = rig.done(rig.ask("POST", "/volumes", {"name": "v", "size": 10, "server": server["id"]}, 201))
    assert [action["command"] for action in made["next_actions"]] == ["attach_volume"]
    assert rig.backend.attached == {made["volume"]["id"]: server["id"]}
    other = rig.done(rig.ask("POST", "/volumes", {"name": "w", "size": 10, "location": "fsn1"}, 201))["volume"]
    answer = rig.ask(
        "POST", "/servers", {"name": "t", "server_type": "cx23", "image": "debian-13", "volumes": [other["id"]]}
    )
    assert [action["command"] for action in rig.done(answer)["next_actions"]] == ["start_server", "attach_volume"]
    assert rig.ask("GET", f"/volumes/{other['id']}")["volume"]["server"] == answer["server"]["id"]
