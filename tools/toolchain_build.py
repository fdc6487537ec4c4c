"""`python -m tools.toolchain_build`: make the toolchain in the cache, unless it is there; print its bin folder.

Standard output is that one line; progress goes to standard error. The toolchain is keyed by everything that made it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import toolchain_go as golang
from tools import toolchain_steps as steps
from tools.toolchain_steps import ToolchainError, say

WAYS = ("path", "installer", "build")  # of getting the engine, in the order in which they are tried
SOURCES = (
    golang.GO_SOURCES,
    golang.HOST_SOURCES,
    golang.GO_LOCK,
    Path(__file__),
    Path(golang.__file__),
    Path(steps.__file__),
)
Builder = Callable[[Path, Path, Path, dict[str, str]], None]  # of a part: Go, sources, target folder, environment


def cache_folder() -> Path:
    """Return the folder that holds everything generated: SEKHA_CACHE, else the user's own cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SEKHA_CACHE") or base / "sekha-deploy").absolute()


def allowed_ways() -> tuple[str, ...]:
    """Return the ways of getting the engine that SEKHA_TOOLCHAIN allows; all by default."""
    way = os.environ.get("SEKHA_TOOLCHAIN", "")
    if way and way not in WAYS:
        raise ToolchainError(f"SEKHA_TOOLCHAIN={way} is unknown; set one of {', '.join(WAYS)}, or unset it to try each")
    return (way,) if way else WAYS


def key(sources: tuple[Path, ...], *facts: str) -> str:
    """Return 16 hex digits that change with any source file's path, mode or content, and with any of the facts."""
    digest = hashlib.sha256()
    for source in sources:
        files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
        for file in files:
            if file.suffix in {".go", ".mod", ".sum", ".py", ".txt", ""}:
                name = f"{file.relative_to(source.parent)} {file.stat().st_mode & 0o111}"
                digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    for fact in facts:
        digest.update(f"{fact}\0".encode())
    return digest.hexdigest()[:16]


def identity(file: Path | None) -> str:
    """Return a text that changes when an installed program is replaced by another one."""
    if file is None:
        return "none"
    status = file.resolve().stat()
    return f"{file.resolve()} {status.st_size} {status.st_mtime_ns}"


@contextmanager
def lock(file: Path) -> Iterator[None]:
    """Hold a lock; a second maker waits for the first and then finds its work."""
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another one that is at work")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def part_folder(parts: Path, name: str, go_identity: str) -> Path:
    """Return where the Go-built part `name` is kept, once it was built."""
    return parts / f"{name}-{key((golang.GO_SOURCES / name, Path(golang.__file__)), go_identity)}"


def build_part(folder: Path, name: str, build: Builder, work: Path, go: Path, env: dict[str, str]) -> None:
    """Make a part's folder unless it is there."""
    if folder.is_dir():
        return
    sources = work / "sources"
    if not sources.is_dir():
        shutil.copytree(golang.GO_SOURCES, sources, ignore=shutil.ignore_patterns("*.json"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    (work / name).mkdir()
    build(go, sources, work / name, env)
    (work / name).rename(folder)


def make(
    prefix: Path, work: Path, parts: Path, pulumi: Path | None, go: Path | None, go_identity: str, ways: tuple[str, ...]
) -> dict[str, str]:
    """Make the toolchain in the empty folder `prefix`; return which way each part came.

    `work` is for what is only needed meanwhile; `parts` keeps what Go built for the next toolchain.
    """
    parts.mkdir(parents=True, exist_ok=True)
    bin_dir, plugins = prefix / "bin", prefix / "plugins"
    bin_dir.mkdir(parents=True)
    plugins.mkdir()
    if pulumi is None or "path" not in ways or not steps.official_engine(pulumi):
        pulumi = None
    engine = "path" if pulumi else "build"
    if pulumi is None and "installer" in ways and (installed := steps.install_engine(work)):
        pulumi, engine = prefix / "official" / "bin" / "pulumi", "installer"
        shutil.move(installed.parent.parent, prefix / "official")
    if pulumi is None and "build" not in ways:
        raise ToolchainError(
            f"no Pulumi {steps.PULUMI_VERSION} or newer, < 4, this way; unset SEKHA_TOOLCHAIN to build it"
        )
    official_plugin = pulumi is not None and steps.install_hcloud(pulumi, work, plugins)
    if engine == "installer":
        for name in steps.ENGINE_FILES:
            (bin_dir / name).symlink_to(Path("..") / "official" / "bin" / name)
    elif pulumi is not None:
        steps.link_engine(pulumi, bin_dir)

    go = go or golang.install_go(work)
    env = golang.go_environment(go, work / "go")

    def add(name: str, target: Path, build: Builder) -> None:
        """Put the Go-built part `name` into `target`; an earlier toolchain's is taken if it was made of the same."""
        folder = part_folder(parts, name, go_identity)
        build_part(folder, name, build, work, go, env)
        shutil.copytree(folder, target, copy_function=os.link, dirs_exist_ok=True)

    if pulumi is None:
        add("pulumi", bin_dir, golang.build_engine)
        golang.link_host(prefix)
    if not official_plugin:
        add("hcloud", plugins, golang.build_hcloud)
    add("versitygw", bin_dir, golang.build_versitygw)
    try:  # while the module and build caches are there it takes seconds; nothing but managed certificates needs it
        add("pebble", bin_dir, build_pebble)
    except ToolchainError as error:
        say(f"going on without pebble: {error}")
    return {"engine": engine, "hcloud": "official" if official_plugin else "build", "versitygw": "build"}


def link_plugin(prefix: Path, home: Path) -> None:
    """Put the Hetzner plugin where the engine looks for plugins, unless it has one there itself.

    On PATH it would be found too, but the engine then warns about it in every run.
    """
    file = home / "plugins" / steps.HCLOUD_FOLDER / steps.HCLOUD
    target = prefix / "plugins" / steps.HCLOUD_FOLDER / steps.HCLOUD
    if file.is_symlink() and file.readlink() != target:
        file.unlink()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)


def toolchain() -> Path:
    """Return the folder of a toolchain made of the current sources, making it first if it isn't there."""
    cache = cache_folder()
    ways = allowed_ways()
    search = os.environ.get("PATH", "")
    pulumi = steps.find_program("pulumi", search, cache)
    go, go_identity = golang.find_go(search)
    facts = (*ways, " ".join(os.uname()[i] for i in (0, 4)), identity(pulumi), go_identity)
    prefix = cache / "toolchain" / key(SOURCES, *facts)
    if not prefix.is_dir():
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with lock(prefix.parent / ".lock"):
            if not prefix.is_dir():
                start = time.monotonic()
                for left in prefix.parent.glob(".work-*"):  # by a build that was killed
                    shutil.rmtree(left, ignore_errors=True)
                # What a build needs is big (about 4 GB) and of no use afterwards.
                with tempfile.TemporaryDirectory(
                    prefix=".work-", dir=prefix.parent, ignore_cleanup_errors=True
                ) as work:
                    made = Path(work) / "prefix"
                    origin = make(made, Path(work), prefix.parent / "parts", pulumi, go, go_identity, ways)
                    (made / "origin.json").write_text(json.dumps(origin) + "\n", encoding="utf-8")
                    made.rename(prefix)
                say(f"ready after {time.monotonic() - start:.0f} s: {origin}")
    link_plugin(prefix, Path(os.environ.get("PULUMI_HOME") or cache / "pulumi-home"))
    return prefix


def build_pebble(go: Path, sources: Path, out: Path, env: dict[str, str]) -> None:
    """Build pebble, the ACME server behind the local cloud's managed certificates, into the folder `out`."""
    package = "github.com/letsencrypt/pebble/v2/cmd/pebble"
    golang.build_program(go, "pebble", package, out / "pebble", cwd=sources / "pebble", env=env)


ALONE: dict[str, Builder] = {"versitygw": golang.build_versitygw, "pebble": build_pebble}


def alone(name: str) -> Path:
    """Return the folder of one of ALONE, making it first if it isn't there: a local cloud needs nothing else."""
    base = cache_folder() / "toolchain"
    go, go_identity = golang.find_go(os.environ.get("PATH", ""))
    folder = part_folder(base / "parts", name, go_identity)
    if not folder.is_dir():
        base.mkdir(parents=True, exist_ok=True)
        with (
            lock(base / ".lock"),
            tempfile.TemporaryDirectory(prefix=".work-", dir=base, ignore_cleanup_errors=True) as t,
        ):
            go = go or golang.install_go(Path(t))
            env = golang.go_environment(go, Path(t) / "go")
            build_part(folder, name, ALONE[name], Path(t), go, env)
    return folder


def main(arguments: Sequence[str] = ()) -> int:
    """Print the toolchain's bin folder, or that of the one program of ALONE that is named; return the exit code."""
    try:
        name = arguments[0] if arguments else ""
        print(alone(name) if name in ALONE else toolchain() / "bin")
    except ToolchainError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
