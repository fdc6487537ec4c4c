"""The Docker stack: what Pulumi gets and what compose.yaml says are the same, without a secret where one could look."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from infra import catalog, compose, containers, images, plan
from infra.clouds import docker
from infra.settings import Settings, SettingsError, parse
from tests.unit.infra import samples

OFFER = catalog.load("docker")
HOST = {"docker:host": "ssh://root@198.51.100.10"}
NOT_NEEDED = ("regions", "signingKey", "bucket", "bucketAccessKey", "bucketSecretKey", "nodeAccessKey", "nodeSecretKey")
LOOP = asyncio.new_event_loop()  # never closed: the SDK leaves tasks on it


class Recorder(pulumi.runtime.Mocks):
    """Remembers every resource's inputs by name."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, Any]] = {}
        self.types: dict[str, str] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.seen[args.name], self.types[args.name] = args.inputs, args.typ.split(":")[-1]
        return args.name, {**args.inputs, "containerLogs": '{"health": {}, "ca": "PEM"}'}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    asyncio.set_event_loop(LOOP)
    pulumi.runtime.set_mocks(made)
    yield made
    pulumi.runtime.settings.reset_options()
    asyncio.set_event_loop(None)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A wheelhouse in small."""
    (tmp_path / "wheels" / "wheels").mkdir(parents=True)
    for name in ("service.txt", "chroma.txt", "wheels/sekha_service-0.1.0-py3-none-any.whl"):
        (tmp_path / "wheels" / name).write_text(name)
    return tmp_path / "wheels"


def _settings(**changes: object) -> Settings:
    values = dict.fromkeys(NOT_NEEDED) | {"cloud": "docker", **changes}
    config = {k: v for k, v in samples.config(**values).items() if k != "hcloud:token"}
    return parse(config | HOST, "test", {})


def _described(wheels: Path, **changes: object) -> tuple[plan.Plan, containers.Stack, images.Images]:
    settings = _settings(**changes)
    planned = plan.plan(settings, OFFER)
    chosen = images.choose(settings.images, wheels)
    placement = docker.place(planned, settings, OFFER)
    return planned, containers.describe(planned, settings, OFFER, placement.choice, chosen), chosen


def _build(wheels: Path, **changes: object) -> tuple[containers.Stack, images.Images]:
    planned, stack, chosen = _described(wheels, **changes)

    def program() -> Any:
        return docker.DockerStack(planned, stack, chosen, wheels).report

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return stack, chosen


def _secrets(stack: containers.Stack) -> list[str]:
    return ["sk-sekha-" + "a" * 32, "5" * 64, containers.password("5" * 64)]


def test_resources(recorder: Recorder, wheels: Path) -> None:
    _build(wheels)
    kinds = {
        kind: sorted(name for name, is_ in recorder.types.items() if is_ == kind) for kind in recorder.types.values()
    }
    assert kinds == {
        "Docker": ["test"],
        "RemoteImage": ["image-caddy", "image-chroma", "image-postgres", "image-service"],
        "Network": ["network-back", "network-front"],
        "Volume": [
            "volume-caddy", "volume-caddy-files", "volume-chroma", "volume-postgres", "volume-postgres-files",
            "volume-sekha-files",
        ],
        "Container": ["caddy", "chroma", "postgres", "prepare", "sekha", "verify"],
    }  # fmt: skip
    assert recorder.seen["network-back"]["internal"] is True
    assert {name for name, row in recorder.seen.items() if row.get("ports")} == {"caddy"}
    assert [port["external"] for port in recorder.seen["caddy"]["ports"]] == [80, 443]


def test_the_guides_health_check_limits_and_reservations(recorder: Recorder, wheels: Path) -> None:
    _build(wheels)
    sekha = recorder.seen["sekha"]
    assert (sekha["cpus"], sekha["memory"], sekha["cpuShares"], sekha["memoryReservation"]) == ("2.0", 4096, 1024, 2048)
    check = sekha["healthcheck"]
    assert (check["interval"], check["timeout"], check["retries"], check["startPeriod"]) == ("30s", "10s", 3, "40s")
    assert "http://localhost:8080/health" in check["tests"][-1]


def test_who_runs_what(recorder: Recorder, wheels: Path) -> None:
    """Only `prepare` is root, without a network; nobody has a capability or a writable root without need."""
    _build(wheels)
    rows = {name: row for name, row in recorder.seen.items() if recorder.types[name] == "Container"}
    assert {name for name, row in rows.items() if row["user"].startswith("0")} == {"prepare"}
    assert rows["prepare"]["networkMode"] == "none"
    assert {name for name, row in rows.items() if not row["readOnly"]} == {"prepare"}
    assert {name: row["capabilities"]["adds"] for name, row in rows.items() if row["capabilities"]["adds"]} == {
        "prepare": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"],
        "caddy": ["CAP_NET_BIND_SERVICE"],
    }
    assert all(row["capabilities"]["drops"] == ["ALL"] for row in rows.values())


def test_secrets_are_in_secret_files_alone(recorder: Recorder, wheels: Path) -> None:
    stack, chosen = _build(wheels)
    rows = {name: {**row, "uploads": []} for name, row in recorder.seen.items()}
    document = yaml.safe_dump(compose.render(stack, chosen))
    for secret in _secrets(stack):
        assert secret not in json.dumps(rows)
        assert secret not in document
        assert secret not in repr(stack)
    wrapped = recorder.seen["prepare"]["uploads"]
    assert set(wrapped) == {pulumi.runtime.rpc._special_sig_key, "value"}  # the engine is told that it is a secret
    uploads = wrapped["value"]
    assert {row["permissions"] for row in uploads} == {"0600"}
    assert len(uploads) == len(stack.files)
    assert not [row for row in uploads if "sk-sekha" in json.dumps(row)]  # only the key's hash travels


def test_compose_says_the_same(recorder: Recorder, wheels: Path) -> None:
    stack, chosen = _build(wheels)
    document = compose.render(stack, chosen)
    services = document["services"]
    assert {row["name"] for row in document["volumes"].values()} == {
        row["name"] for name, row in recorder.seen.items() if name.startswith("volume-")
    }
    assert {name: row["internal"] for name, row in document["networks"].items()} == {
        name: recorder.seen[f"network-{name}"]["internal"] for name in stack.networks
    }
    for name, service in services.items():
        assert _of_compose(service) == _of_pulumi(recorder.seen[name]), name
    assert {name for name, row in services.items() if "build" in row} == {"prepare", "chroma", "sekha", "verify"}


def _of_compose(row: dict[str, Any]) -> dict[str, Any]:
    limits, kept = (row["deploy"]["resources"][part] for part in ("limits", "reservations"))
    check = row.get("healthcheck")
    return {
        "name": row["container_name"], "image": row["image"], "user": row["user"], "read_only": row["read_only"],
        "cpus": limits["cpus"], "memory": limits["memory"], "kept": kept["memory"], "weight": row["cpu_shares"],
        "caps": row["cap_add"],
        "mounts": [(m["target"], m["read_only"]) for m in row["volumes"] if m["type"] == "volume"],
        "networks": sorted(row.get("networks", {})), "ports": row.get("ports", []), "restart": row["restart"],
        "entrypoint": [w.replace("$$", "$") for w in row.get("entrypoint", [])], "labels": row["labels"],
        "command": [w.replace("$$", "$") for w in row.get("command", [])], "env": row.get("environment", {}),
        "tmpfs": sorted(row.get("tmpfs", [])), "stop": [row["stop_grace_period"], row["stop_signal"]],
        "check": [check["test"], check["retries"], check["interval"]] if check else None,
    }  # fmt: skip


def _of_pulumi(row: dict[str, Any]) -> dict[str, Any]:
    check = row.get("healthcheck")
    return {
        "name": row["name"], "image": row["image"], "user": row["user"], "read_only": row["readOnly"],
        "cpus": row["cpus"], "memory": f"{int(row['memory'])}M", "kept": f"{int(row['memoryReservation'])}M",
        "weight": row["cpuShares"], "caps": [name.removeprefix("CAP_") for name in row["capabilities"]["adds"]],
        "mounts": [(mount["containerPath"], mount["readOnly"]) for mount in row["volumes"]],
        "networks": sorted(net["name"].removeprefix("sekha-test-") for net in row["networksAdvanced"]),
        "ports": [f"{int(port['external'])}:{int(port['internal'])}" for port in row["ports"]],
        "restart": row["restart"],
        "entrypoint": row.get("entrypoints") or [], "command": row.get("command") or [],
        "labels": {label["label"]: label["value"] for label in row["labels"]},
        "env": dict(pair.split("=", 1) for pair in row["envs"]),
        "tmpfs": sorted(f"{path}:{options}" for path, options in (row.get("tmpfs") or {}).items()),
        "stop": [f"{int(row['stopTimeout'])}s", row["stopSignal"]],
        "check": [check["tests"], check["retries"], check["interval"]] if check else None,
    }  # fmt: skip


def test_a_change_replaces_what_it_concerns(wheels: Path) -> None:
    """Another domain concerns Caddy, and what gives and checks its files; the database goes on."""
    (_, one, _), (_, other, _) = _described(wheels), _described(wheels, domain="sekha.example.com")
    prints = [{item.name: stack.fingerprint(item) for item in stack.containers} for stack in (one, other)]
    assert {name for name in prints[0] if prints[0][name] != prints[1][name]} == {"prepare", "caddy", "verify"}


def test_written_files(wheels: Path, tmp_path: Path) -> None:
    _, stack, chosen = _described(wheels)
    folder = compose.write(stack, chosen, wheels, tmp_path / "out")
    assert compose.write(stack, chosen, wheels, folder) == folder  # again, over the first
    files = [path for path in (folder / "files").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (folder / "files").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (folder / "images").iterdir()) == [
        "Dockerfile",
        "chroma.txt",
        "service.txt",
        "wheels",
    ]
    docker_compose = (
        shutil.which("docker") and subprocess.run(["docker", "compose", "version"], check=False).returncode == 0
    )
    if docker_compose:  # `make proof-docker` asks it in any case
        subprocess.run(["docker", "compose", "-f", folder / "compose.yaml", "config", "-q"], check=True)


def test_images_are_pinned_and_can_be_replaced(wheels: Path) -> None:
    assert all("@sha256:" in reference for reference in images.pinned().values())
    assert f"ARG BASE={images.pinned()['base']}\n" in images.DOCKERFILE.read_text()
    _, _, chosen = _described(wheels, images={"postgres": "mirror/postgres:17", "service": "mirror/sekha:1"})
    assert (chosen.postgres, chosen.service, chosen.built) == ("mirror/postgres:17", "mirror/sekha:1", ("chroma",))


@pytest.mark.parametrize(
    ("key", "value"),
    [("docker:host", "tcp://203.0.113.7:2375"), ("docker:host", "nonsense"), ("sekha:images", '{"redis": "redis"}'),
     ("sekha:images", '{"caddy": "Not An Image"}'), ("sekha:protect", "perhaps")],
)  # fmt: skip
def test_what_is_refused(key: str, value: str) -> None:
    values = dict.fromkeys(NOT_NEEDED) | {"cloud": "docker"}
    with pytest.raises(SettingsError, match=key):
        parse(samples.config(**values) | {key: value}, "test", {})
