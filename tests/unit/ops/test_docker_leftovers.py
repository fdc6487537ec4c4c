"""What a killed `up` of a Docker stack left is removed; what the state knows, holds data or is Compose's is not."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ops import docker_leftovers, recover
from ops.engine import Engine, OperatorError
from tests.unit.infra import samples


class Known(Engine):
    """An engine whose state knows the container `known`."""

    def capture(self, *arguments: str, stdin: str | None = None) -> str:
        return json.dumps({"deployment": {"resources": [{"urn": "u::sekha", "id": "known"}]}})


class Docker:
    """Answers `ls` by kind; remembers what was removed."""

    def __init__(self, **there: str) -> None:
        self.there, self.removed = there, list[tuple[str, ...]]()

    def __call__(self, *words: str) -> str:
        if words[1] == "ls":
            assert "label=sekha-stack=test" in words
            return self.there.get(words[0], "")
        self.removed.append(words)
        return ""


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "settings_of", lambda _: samples.settings(cloud="docker", regions=None, bucket=None))


def test_what_the_state_lacks_goes_containers_first() -> None:
    docker = Docker(container="known\t\nlost\t\n", network="net\t\n", volume="data\t\n")
    docker_leftovers.clear(Known("test"), docker)
    assert docker.removed == [("container", "rm", "--force", "lost"), ("network", "rm", "net")]


def test_what_compose_runs_is_left_alone() -> None:
    docker = Docker(container="lost\tsekha-test-compose\n")
    with pytest.raises(OperatorError, match="docker compose --project-name sekha-test-compose down"):
        docker_leftovers.clear(Known("test"), docker)
    assert docker.removed == []


def test_other_clouds_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "settings_of", lambda _: samples.settings())
    docker = Docker(container="lost\t\n")
    docker_leftovers.clear(Known("test"), docker)
    assert docker.removed == []


@pytest.mark.parametrize(("host", "wanted"), [
    ("ssh://root@198.51.100.10:2222", "ssh -o BatchMode=yes -i key -p 2222 root@198.51.100.10 docker 'ps' '{{.ID}}'"),
    ("unix:///run/d.sock", "docker --host unix:///run/d.sock ps {{.ID}}"),
])  # fmt: skip
def test_docker_is_asked_where_it_is(host: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ssh", "docker"):
        (tmp_path / name).write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert docker_leftovers.at(host, ["-i", "key"])("ps", "{{.ID}}").strip() == wanted


def test_an_engine_that_cannot_be_asked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'permission denied' >&2; exit 1\n")
    (tmp_path / "docker").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(OperatorError, match="unix:///x can't be asked: permission denied"):
        docker_leftovers.at("unix:///x", [])("ps")
    (tmp_path / "docker").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperatorError, match="not installed here"):
        docker_leftovers.at("unix:///x", [])("ps")


def test_ssh_options_come_as_yaml_or_as_json(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    for given in ('["-i", "key"]', '\'["-i", "key"]\''):
        file.write_text(f"config:\n  docker:sshOpts: {given}\n")
        assert docker_leftovers.ssh_options(Engine("test", file)) == ["-i", "key"]
