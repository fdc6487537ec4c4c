"""Bundle, signature, sealed secrets, upload, generations and following: everything of a release but the machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import keys, plan, release, release_bundle, release_rollout, release_secrets, release_sign
from infra.release_rollout import ReleaseError, Wanted
from tests.unit.infra import samples


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    folder = tmp_path / "wheelhouse" / "wheels"
    folder.mkdir(parents=True)
    (folder / "sekha_service-1.2.3-py3-none-any.whl").write_bytes(b"service")
    for venv in ("chroma", "service"):
        (folder.parent / f"{venv}.txt").write_text(f"# what {venv} installs\n")
    (folder.parent / "left-over.whl").write_bytes(b"not part of it")
    return folder.parent


def _variables(**changes: Any) -> plan.Variables:
    made = samples.settings()
    planned = plan.plan(made, samples.HETZNER)
    return {
        **plan.role_variables(planned, made, samples.HETZNER, planned.choices[0]),
        "public_ipv4": "198.51.100.10", "data_device": "/dev/disk/by-id/scsi-0HC_Volume_7",
        "api_key_hashes": ["sha256:00"], "service_version": "1.2.3", **changes,
    }  # fmt: skip


def test_a_bundle_is_complete_and_addressed_by_content(wheelhouse: Path) -> None:
    made = release_bundle.build(_variables(), wheelhouse)
    assert (made.manifest["stack"], made.manifest["node"]) == ("test", "sekha-test-1")
    assert [step["role"] for step in made.manifest["steps"]] == list(plan.ROLES)
    files = made.manifest["files"]
    wheel = "wheels/sekha_service-1.2.3-py3-none-any.whl"
    assert [file["path"] for file in files] == ["chroma.txt", "service.txt", wheel]
    for digest in [*(file["sha256"] for file in files), *(step["config"] for step in made.manifest["steps"])]:
        source = made.blobs[digest]
        content = source if isinstance(source, bytes) else source.read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest


def test_programs_come_executable_and_make_another_release(wheelhouse: Path, tmp_path: Path) -> None:
    (tmp_path / "litestream").write_bytes(b"program")
    made = release_bundle.build(_variables(), wheelhouse, programs=[tmp_path / "litestream"])
    row = next(file for file in made.manifest["files"] if file["path"] == "bin/litestream")
    assert (row["mode"], row["size"]) == ("0755", 7)
    assert made.release != release_bundle.build(_variables(), wheelhouse).release


def test_equal_input_is_an_equal_release_and_any_change_another(wheelhouse: Path) -> None:
    first = release_bundle.build(_variables(), wheelhouse)
    assert release_bundle.build(_variables(), wheelhouse).contents == first.contents
    changed = release_bundle.build(_variables(sekha_workers=7), wheelhouse)
    assert changed.release != first.release
    (wheelhouse / "wheels" / "sekha_service-1.2.3-py3-none-any.whl").write_bytes(b"other service")
    assert release_bundle.build(_variables(), wheelhouse).release != first.release


def test_secrets_travel_sealed_and_change_the_release(wheelhouse: Path) -> None:
    plain = release_bundle.build(_variables(), wheelhouse)
    sealed = release_secrets.encrypt({"restoreSecretKey": "hush"}, keys.generate_stack_key())
    made = release_bundle.build(_variables(), wheelhouse, sealed=sealed)
    assert plain.manifest["secrets"] is None
    assert made.blobs[made.manifest["secrets"]["sha256"]] == sealed
    assert made.release != plain.release
    assert "hush" not in made.contents


def test_the_agent_is_part_of_the_release(wheelhouse: Path, tmp_path: Path) -> None:
    made = release_bundle.build(_variables(), wheelhouse)
    agent = made.blobs[made.manifest["agent"]["sha256"]]
    assert isinstance(agent, bytes)
    assert len(agent) == made.manifest["agent"]["size"]
    other = tmp_path / "cloud-init"
    shutil.copytree(release_bundle.ROLES, other)
    (other / "agent" / "sekha_agent" / "release.py").write_text("# another agent\n")
    assert release_bundle.build(_variables(), wheelhouse, root=other).release != made.release


def test_the_services_version_is_the_wheels(wheelhouse: Path, tmp_path: Path) -> None:
    assert release_bundle.service_version(wheelhouse) == "1.2.3"
    with pytest.raises(FileNotFoundError, match="build-wheelhouse"):
        release_bundle.service_version(tmp_path)


def test_a_signed_manifest_verifies_and_a_changed_one_does_not() -> None:
    private = keys.generate_signing_key()
    text = json.dumps({"generation": 3, "stack": "test"})
    signature = release_sign.sign(text, private)
    release_sign.verify(text, signature, [keys.public_key(private)])
    for wrong_text, trusted in ((text.replace("3", "4"), private), (text, keys.generate_signing_key())):
        with pytest.raises(release_sign.SigningError):
            release_sign.verify(wrong_text, signature, [keys.public_key(trusted)])


def test_the_signing_key_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_sign, "MEMORY", tmp_path)
    release_sign.sign("x", keys.generate_signing_key())
    assert list(tmp_path.iterdir()) == []


def test_sealed_secrets_open_with_openssl_as_the_agent_does() -> None:
    stack_key = keys.generate_stack_key()
    sealed = release_secrets.encrypt({"passphrase": "hush"}, stack_key)
    assert sealed == release_secrets.encrypt({"passphrase": "hush"}, stack_key)
    body, _, mac = sealed.rstrip(b"\n").rpartition(b"\n")
    mac_key = hmac.digest(bytes.fromhex(stack_key), b"sekha-release-mac", "sha256")
    assert hmac.digest(mac_key, body, "sha256").hex().encode() == mac
    command = ["openssl", "enc", "-d", "-aes-256-ctr", "-pbkdf2", "-salt", "-pass", f"pass:{stack_key}"]
    opened = subprocess.run(command, input=body, capture_output=True, check=True).stdout
    assert json.loads(opened) == {"passphrase": "hush"}


class MemoryStore:
    """A bucket in memory, with the methods of object_store.Store that a release uses."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}

    def read_json(self, key: str) -> dict[str, Any]:
        return self.objects.get(key, {})

    def files(self) -> dict[str, tuple[int, str]]:
        md5 = {digest: hashlib.md5(body, usedforsecurity=False).hexdigest() for digest, body in self.stored.items()}
        return {digest: (len(body), md5[digest]) for digest, body in self.stored.items()}

    def put_file(self, digest: str, body: bytes) -> None:
        self.stored[digest] = body


@pytest.mark.parametrize(
    ("known", "counter", "desired", "following"), [(0, 0, 0, 1), (4, 0, 0, 5), (1, 7, 2, 8), (1, 2, 9, 10)]
)
def test_a_generation_is_never_used_twice(known: int, counter: int, desired: int, following: int) -> None:
    store: Any = MemoryStore()
    store.objects = {
        "generations/n": {"generation": counter},
        "desired/n": {"manifest": json.dumps({"generation": desired})},
    }
    assert release.next_generation(store, "n", known) == following


def test_only_missing_files_travel(wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path))
    made = release_bundle.build(_variables(), wheelhouse)
    release.stage_blobs(made, release.blob_folder("test"))
    store: Any = MemoryStore()
    release.upload(store, made.manifest)
    assert set(store.stored) == set(made.blobs)
    store.put_file = lambda digest, body: pytest.fail("nothing is missing")
    release.upload(store, made.manifest)
    (release.blob_folder("test") / made.manifest["steps"][0]["config"]).unlink()
    with pytest.raises(ReleaseError, match="run the program again"):
        release.upload(MemoryStore(), made.manifest)  # type: ignore[arg-type]


def test_a_damaged_file_is_made_again_or_refused_but_never_uploaded(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut left an empty file; a wheel was overwritten while the program ran."""
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path))
    made, folder, store = release_bundle.build(_variables(), wheelhouse), release.blob_folder("test"), MemoryStore()
    release.stage_blobs(made, folder)
    role = folder / made.manifest["steps"][0]["config"]
    role.write_bytes(b"")
    release.stage_blobs(made, folder)
    assert role.read_bytes() == made.blobs[role.name]
    (wheelhouse / "service.txt").write_bytes(b"cut sh")
    with pytest.raises(ReleaseError, match=r"service\.txt was changed or damaged"):
        release.upload(store, made.manifest)  # type: ignore[arg-type]
    assert all(hashlib.sha256(body).hexdigest() == digest for digest, body in store.stored.items())


@pytest.mark.parametrize("found", [b"", b"another agent of equal length"])
def test_a_file_that_somebody_changed_in_the_bucket_is_uploaded_again(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bytes
) -> None:
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path))
    made, store = release_bundle.build(_variables(), wheelhouse), MemoryStore()
    release.stage_blobs(made, release.blob_folder("test"))
    release.upload(store, made.manifest)  # type: ignore[arg-type]
    agent = made.manifest["agent"]["sha256"]
    store.stored[agent] = found[:1] * len(store.stored[agent]) if found else b""
    release.upload(store, made.manifest)  # type: ignore[arg-type]
    assert hashlib.sha256(store.stored[agent]).hexdigest() == agent


WANTED = Wanted("n", "42", 5)


def _beacon(stage: str, state: str = "running", **changes: Any) -> dict[str, Any]:
    return {
        "instance_id": "42", "generation": 5, "stage": stage, "state": state, "updated_at": stage,
        "stages": {stage: {"seconds": 1.5}}, **changes,
    }  # fmt: skip


def _follow(
    beacons: list[dict[str, Any]], before: dict[str, Any] | None = None, answers: Callable[[], bool] = lambda: True
) -> tuple[Any, list[str]]:
    """Follow a list of beacons (the last one stays) on a clock that advances a second a look."""
    said: list[str] = []
    ticks = iter(range(10_000))
    rest = iter(beacons)
    last: dict[str, Any] = {}

    def read() -> dict[str, Any]:
        nonlocal last
        last = next(rest, last)
        return last

    clock = lambda: float(next(ticks))  # noqa: E731
    result = release_rollout.follow(
        read, WANTED, before or {}, 600, said.append, clock, lambda _: None, answers=answers
    )
    return result, said


def test_following_says_each_stage_and_returns_the_last_beacon() -> None:
    end = _beacon("serving", "ok", version="1.2.3")
    result, said = _follow([{}, _beacon("boot", generation=0), _beacon("packages"), _beacon("packages"), end])
    assert result is end
    assert [line.split(" after")[0] for line in said] == [
        "n: up and in touch", "n: packages ...", "n: packages done (time unknown)", "n: serving ...",
        "n: serving done (1.5 s), 5.0 s in all",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("beacons", "message"),
    [
        ([{}], r"n never reached the bucket within 12\d s; nothing more is known\..* Open its console"),
        ([_beacon("serving", "ok", instance_id="41")], "never reached the bucket"),
        ([_beacon("serving", "ok", generation=4)], "was in touch before and has said nothing for 12"),
        ([_beacon("service")], "is still at stage service after 60"),
        ([_beacon("tls", "failed", message="no address", log_tail=["a", "b"])], r"stage tls: no address\n  \| a\n"),
        ([_beacon("verify", "failed", message="bad signature", generation=4)], "stage verify: bad signature"),
    ],
)
def test_what_goes_wrong_is_told(beacons: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        _follow(beacons)


def test_one_that_never_answered_at_its_address_may_still_be_booting() -> None:
    with pytest.raises(ReleaseError, match=r"n never reached the bucket within 24\d s"):
        _follow([{}], answers=lambda: False)
    looks = iter([False] * 10)  # one each five seconds
    with pytest.raises(ReleaseError, match=r"n never reached the bucket within 17\d s"):
        _follow([{}], answers=lambda: next(looks, True))


def test_a_machine_that_lost_power_is_not_waited_for() -> None:
    looks = iter([True, True])
    with pytest.raises(ReleaseError, match=r"n stopped answering at stage service: .* for 4[67] s.*Run make up again"):
        _follow([_beacon("service")], answers=lambda: next(looks, False))
    with pytest.raises(ReleaseError, match="is still at stage service after 60"):
        _follow([_beacon("service")], answers=lambda: False)  # unreachable from here from the start


def test_a_reboot_is_waited_for() -> None:
    looks = iter([True, *[False] * 6])
    beacons = [_beacon("service")] * 60 + [_beacon("serving", "ok")]
    assert _follow(beacons, answers=lambda: next(looks, True))[0]["state"] == "ok"


def test_the_release_before_may_be_finished_first() -> None:
    old = [_beacon(stage, generation=4) for stage in ("boot", "packages", "service")]
    boot, packages, service = old
    result, said = _follow(
        [packages, boot, *[packages] * 150, *[service] * 150, _beacon("packages"), _beacon("serving", "ok")], packages
    )
    assert result["state"] == "ok"
    assert [line for line in said if "generation 4" in line] == [
        "n: still at work on generation 4: packages ...", "n: still at work on generation 4: service ...",
    ]  # fmt: skip
    with pytest.raises(ReleaseError, match="said nothing for 12"):
        _follow([packages, boot], packages)


def test_an_old_refusal_does_not_count() -> None:
    old = _beacon("verify", "failed", generation=4)
    result, _ = _follow([old, old, _beacon("serving", "ok")], before=old)
    assert result["state"] == "ok"
