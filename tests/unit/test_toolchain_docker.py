"""The Docker plugin's place: built once, linked into the engine's home; one that is there already stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import toolchain_docker as tool
from tools.toolchain_go import GO_SOURCES


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What gets built, by a builder that only makes a file; the official plugin can't be had."""
    made: list[Path] = []

    def build(out: Path) -> None:
        made.append(out)
        out.write_text("plugin")

    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tool, "build_plugin", build)
    monkeypatch.setattr(tool, "install_official", lambda _pulumi, _home: False)
    return made


def test_built_once_and_linked(tmp_path: Path, builds: list[Path]) -> None:
    first = tool.plugin(Path("pulumi"), tmp_path / "one")
    assert first == tmp_path / "one" / "plugins" / "resource-docker-v5.0.0" / "pulumi-resource-docker"
    assert first.read_text() == "plugin"
    assert tool.plugin(Path("pulumi"), tmp_path / "one") == first
    assert tool.plugin(Path("pulumi"), tmp_path / "two").readlink() == first.readlink()
    assert builds == [first.readlink()]


def test_the_operators_own_stays(tmp_path: Path, builds: list[Path]) -> None:
    own = tmp_path / "home" / "plugins" / tool.FOLDER / tool.PLUGIN
    own.parent.mkdir(parents=True)
    own.write_text("official")
    assert tool.plugin(Path("pulumi"), tmp_path / "home").read_text() == "official"
    assert builds == []


def test_a_link_of_an_older_build_is_replaced(tmp_path: Path, builds: list[Path]) -> None:
    link = tmp_path / "home" / "plugins" / tool.FOLDER / tool.PLUGIN
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "gone")
    assert tool.plugin(Path("pulumi"), tmp_path / "home").read_text() == "plugin"


def test_the_version_is_that_of_the_python_package() -> None:
    locked = (GO_SOURCES.parent.parent / "requirements.in").read_text()
    assert f"pulumi-docker=={tool.VERSION}\n" in locked
    assert f'Version = "{tool.VERSION}"' in (GO_SOURCES / "docker" / "info" / "info.go").read_text()
