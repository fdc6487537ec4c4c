"""apt sources, metadata, runner and process identity."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from localcloud import aptconf, metadata, objects
from localcloud.backend import Nic, ServerSpec
from localcloud.machines import addresses, cleanup, disk, guest, nics, paths, process, router, runner
from tests.support import wait_for

SPEC = ServerSpec(
    id=42, name="web", cores=2, memory_gb=4, disk_gb=40, image="debian-13", ipv4="198.51.100.10", ipv6_net="2001:db8:5ec:1::/64",  # noqa: E501
    mac="96:00:00:00:00:2a", user_data="#cloud-config\n", ssh_public_keys=("ssh-ed25519 AAAA me\n",), location="fsn1",
    root_password=None, nics=(Nic(7, "10.0.0.2", "86:00:00:00:00:01", "10.0.0.0/16", "10.0.0.1"),), volumes=(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("debian.sources", "Types: deb\nURIs: http://m.test/debian/\nSuites: trixie trixie-updates\n\n"
                           "Types: deb\n# old\nURIs: http://s.test/sec\nSuites: trixie-security\n"),
        ("x.list", "# no\ndeb [arch=amd64] http://m.test/debian trixie main\ndeb http://s.test/sec trixie-security main\n"),  # noqa: E501
    ],
)  # fmt: skip
def test_apt_sources_say_where_debian_is(tmp_path: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in aptconf.VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / name).write_text(text)
    release = tmp_path / "os-release"
    release.write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    assert aptconf.debian_mirrors(tmp_path, release) == {
        "debian": "http://m.test/debian",
        "debian-security": "http://s.test/sec",
    }
    release.write_text("VERSION_CODENAME=sid\n")
    with pytest.raises(aptconf.AptSourcesError, match="SEKHA_DEBIAN_MIRROR"):
        aptconf.debian_mirrors(tmp_path, release)


def test_a_minimal_host_without_security_sources_gets_the_one_beside_its_mirror(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://m.test/debian/ trixie main\n")
    release = tmp_path / "os-release"
    release.write_text("VERSION_CODENAME=trixie\n")
    assert aptconf.debian_mirrors(tmp_path, release)["debian-security"] == "http://m.test/debian-security"


def test_metadata_of_the_calling_server(tmp_path: Path) -> None:
    folder = tmp_path / "42"
    folder.mkdir()
    nics.save_metadata(folder, SPEC)
    assert metadata.find_server(tmp_path, "198.51.100.10") == folder
    assert metadata.find_server(tmp_path, "198.51.100.11") is None
    document = yaml.safe_load(metadata.answer("/hetzner/v1/metadata", folder) or b"")
    assert document["instance-id"] == 42
    assert document["public-keys"] == ["ssh-ed25519 AAAA me"]
    assert (document["availability-zone"], document["region"]) == ("fsn1-dc14", "eu-central"), "as the API says"
    subnets = document["network-config"]["config"][0]["subnets"]
    assert subnets[1]["address"] == "2001:db8:5ec:1::1/64"
    assert metadata.answer("/hetzner/v1/metadata/hostname", folder) == b"web"
    assert metadata.answer("/hetzner/v1/userdata", folder) == b"#cloud-config\n"
    private = yaml.safe_load(metadata.answer("/hetzner/v1/metadata/private-networks", folder) or b"")
    assert private[0]["ip"] == "10.0.0.2"
    assert metadata.answer("/hetzner/v1/other", folder) is None
    assert (folder / "user-data").stat().st_mode & 0o077 == 0, "user-data may hold secrets"


def test_name_servers_on_loopback_are_no_use(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\n")
    real.write_text("# x\nnameserver 192.0.2.53\nnameserver 127.0.0.1\n")
    assert router.nameservers(stub, real) == ["192.0.2.53"]
    assert router.nameservers(stub) == []


def test_capabilities_are_those_the_host_has() -> None:
    assert guest.capabilities("CapBnd:\t000001ffffffffff\n") == "CAP_NET_ADMIN,CAP_SYS_RESOURCE"
    assert guest.capabilities("CapBnd:\t000001fffeffffff\n") == "CAP_NET_ADMIN"


def test_a_machine_may_run_a_container_engine(tmp_path: Path) -> None:
    assert "--system-call-filter=@keyring" in guest.nspawn_command(tmp_path, 7, "web", None), "runc's session keyrings"


def test_the_node_user_has_no_role_of_its_own() -> None:
    assert json.loads(objects.users_file("n", "s"))["accessAccounts"]["n"]["role"] == "user"


def test_a_process_is_known_by_more_than_its_number(tmp_path: Path) -> None:
    file = tmp_path / "x.pid"
    found = process.spawn(["/bin/sleep", "60"], file, tmp_path / "log")
    assert process.load(file) == found
    process.Process(found.pid, found.start + 1, found.boot).save(file)
    assert process.load(file) is None, "another process of that number"
    found.save(file)
    process.stop(file)
    assert not found.alive()
    assert not file.exists()


def run_runner(folder: Path, script: str) -> subprocess.Popen[bytes]:
    """The runner with a shell script in place of systemd-nspawn."""
    config = {"command": ["/bin/sh", "-c", script], "env": {"PATH": "/usr/bin:/bin"}, "groups": [],
              "off": ["/bin/touch", f"{folder}/dark"]}  # fmt: skip
    (folder / "runner.json").write_text(json.dumps(config))
    (folder / "wanted").touch()
    return subprocess.Popen([sys.executable, "-I", "-S", str(runner.__file__), str(folder)], stdout=subprocess.DEVNULL)


def test_the_runner_boots_again_after_a_reboot_and_not_after_a_power_off(tmp_path: Path) -> None:
    script = f'echo x >> {tmp_path}/boots; [ "$(wc -l < {tmp_path}/boots)" -lt 3 ] && exit 133; exit 0'
    with run_runner(tmp_path, script) as child:
        assert child.wait(20) == 0
    assert json.loads((tmp_path / "state.json").read_text()) == {"boots": 3, "nspawn": None, "exit": 0}
    assert (tmp_path / "dark").exists(), "its line goes down with it"
    assert not (tmp_path / "wanted").exists(), "powered off from inside: stays off"


def test_the_runner_keeps_wanted_when_the_host_shuts_down(tmp_path: Path) -> None:
    with run_runner(tmp_path, "trap 'exit 0' TERM; touch ready; while :; do sleep 0.05; done".replace("ready", f"{tmp_path}/ready")) as child:  # fmt: skip # noqa: E501
        wait_for((tmp_path / "ready").exists, 10, "the script runs")
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait(20) == 0
    assert (tmp_path / "wanted").exists()


def test_a_cache_behind_a_symbolic_link_has_its_real_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's lists of mounts and loop devices know no links; what is ours would not be found in them."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path / "home" / "cache"))
    monkeypatch.delenv("SEKHA_CLOUD_DIR", raising=False)
    found = paths.paths_from_env()
    assert (found.cache, found.cloud) == (tmp_path / "disk/cache", tmp_path / "disk/cache/cloud")


def test_mounts_of_any_name_are_found(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    lines = (r"ext4 /c/josé\040x/1/disk ext4 rw 0 0", r"o /c/josé\040x/1/disk/m o rw 0 0", "o /c/other o rw 0 0")
    table.write_text("\n".join(lines) + "\n")
    assert disk.mounts_below(Path("/c/josé x"), table) == [Path("/c/josé x/1/disk/m"), Path("/c/josé x/1/disk")]


def test_a_state_folder_that_is_a_mount_itself_is_left_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    here = paths.Paths(cache=Path("/c"), cloud=Path("/c/cloud"))
    monkeypatch.setattr(disk, "mounts_below", lambda folder: [folder / "run/lxcfs", folder])
    assert cleanup.mounts_of(here) == [Path("/c/cloud/run/lxcfs")]


def test_a_host_that_was_no_router_becomes_none_for_others() -> None:
    passed, strict = (router.host_ruleset("eth0", was_router=was_router) for was_router in (True, False))
    for ruleset in (passed, strict):
        assert 'oifname "eth0" masquerade' in ruleset
        assert f'oifname "{addresses.UPLINK}" drop' in ruleset, "the host's neighbours don't reach machines"
    others = 'iifname "eth0" drop'
    assert (others in passed, others in strict) == (False, True)
