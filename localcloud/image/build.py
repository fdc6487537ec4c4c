"""Build the base image: Debian 13 with what Hetzner's stock image holds, once per content, from the package mirror."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from localcloud import mirror
from localcloud.backend import BackendError
from localcloud.machines import addresses
from localcloud.machines.paths import Paths
from localcloud.machines.sh import ENV, run, write

SUITE = "trixie"
IMAGE_NAME = "debian-13"  # its name in the API
HERE = Path(__file__).parent
HOST_CAS = Path("/usr/local/share/ca-certificates")
# (path on the mirror, suite, components)
SOURCES = (
    ("debian", f"{SUITE} {SUITE}-updates", "main"),
    ("debian-security", f"{SUITE}-security", "main"),
)


def packages() -> list[str]:
    """The image's packages beyond Debian's essential ones."""
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def apt_settings() -> str:
    """The host's own settings about old indexes, for the image's apt sees the same mirror."""
    wanted = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
    return run("apt-config", "dump", "--no-empty", *wanted)


def certificates(ca_folder: Path) -> dict[str, str]:
    """CA certificates to trust: the host's extra ones and the local cloud's own; file name -> PEM."""
    found = {file.name: file.read_text() for file in sorted(HOST_CAS.glob("*.crt"))} if HOST_CAS.is_dir() else {}
    return {**found, "slc-local-cloud.crt": (ca_folder / "ca.pem").read_text()}


def key(ca_folder: Path) -> str:
    """Names the content: changes when anything that goes into the image changes."""
    digest = hashlib.sha256()
    parts = [SUITE, apt_settings(), repr(SOURCES), addresses.GATEWAY, repr(certificates(ca_folder))]
    files = [HERE / "build.py", HERE / "packages.txt", *sorted(f for f in (HERE / "files").iterdir() if f.is_file())]
    parts += [f"{file.name}\n{file.read_text()}" for file in files]
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


def rootfs(paths: Paths) -> Path | None:
    """The finished image's root file system, None if it has to be built."""
    folder = paths.images / key(paths.ca) / "rootfs"
    return folder if folder.is_dir() else None


def ensure(paths: Paths, say: Callable[[str], None]) -> Path:
    """Return the image's root file system, building it if its content isn't there; `say` gets lines of progress.

    Raises BackendError when the build fails; half-built images are removed.
    """
    paths.images.mkdir(parents=True, exist_ok=True)
    with (paths.images / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = rootfs(paths)
        if found:
            return found
        for stale in paths.images.glob("*.tmp"):
            shutil.rmtree(stale)
        final = paths.images / key(paths.ca)
        temp = final.with_name(final.name + ".tmp")
        temp.mkdir()
        try:
            _build(paths, temp / "rootfs", say)
            temp.rename(final)
        except BaseException:
            shutil.rmtree(temp, ignore_errors=True)
            raise
        for old in paths.images.iterdir():  # an image some server still stands on stays
            if old.is_dir() and old != final and not _in_use(paths, old):
                shutil.rmtree(old, ignore_errors=True)
        return final / "rootfs"


def _in_use(paths: Paths, image: Path) -> bool:
    if str(image) in Path("/proc/mounts").read_text():
        return True
    bases = [f.read_text().strip() for f in paths.cache.glob("cloud*/*/*/base")]  # of servers and images
    return any(base.startswith(str(image)) for base in bases)


def _build(paths: Paths, root: Path, say: Callable[[str], None]) -> None:
    with mirror.on_loopback(paths.mirror) as url:
        say(f"image: installing Debian 13 ({len(packages())} packages and what they need)")
        options = [f"--aptopt={line}" for line in apt_settings().splitlines()]
        sources = [f"deb {url}/{path} {suite} {components}" for path, suites, components in SOURCES for suite in suites.split()]  # fmt: skip # noqa: E501
        command = [
            "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--dpkgopt=force-unsafe-io",
            '--aptopt=Acquire::Languages "none"', *options, f"--include={','.join(packages())}", SUITE, str(root),
            *sources,
        ]  # fmt: skip
        log = paths.images / "build.log"
        with log.open("w") as out:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=ENV, check=False)
        if done.returncode != 0:
            tail = "\n".join(log.read_text().splitlines()[-15:])
            raise BackendError(f"building the base image failed (whole log: {log}):\n{tail}")
    say("image: configuring")
    _configure(paths, root)


def _configure(paths: Paths, root: Path) -> None:
    cas = root / "usr/local/share/ca-certificates"
    cas.mkdir(parents=True, exist_ok=True)
    for name, pem in certificates(paths.ca).items():
        write(cas / name, pem)
    run("chroot", root, "update-ca-certificates")
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for stray in (root / "etc/apt/sources.list.d").iterdir():
        stray.unlink()
    stanzas = [
        f"Types: deb\nURIs: http://{addresses.GATEWAY}/{path}\nSuites: {suites}\nComponents: {components}\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for path, suites, components in SOURCES
    ]
    write(root / "etc/apt/sources.list.d/debian.sources", "\n".join(stanzas))
    write(root / "etc/apt/apt.conf.d/99local-cloud", apt_settings())
    files = HERE / "files"
    for name in ("90_dpkg.cfg", "95_image.cfg"):
        write(root / "etc/cloud/cloud.cfg.d" / name, (files / name).read_text())
    for name in ("slc_dmi.py", "slc_dmi.pth"):
        write(root / "usr/lib/python3/dist-packages" / name, (files / name).read_text())
    write(root / "usr/sbin/slc-init", (files / "slc-init").read_text(), 0o755)
    generators = root / "usr/lib/systemd/system-generators"
    generators.mkdir(exist_ok=True)
    write(generators / "slc-fstab", (files / "slc-fstab").read_text(), 0o755)
    write(root / "etc/resolv.conf", f"nameserver {addresses.GATEWAY}\n")
    (root / "etc/hostname").unlink(missing_ok=True)
    for key_file in (root / "etc/ssh").glob("ssh_host_*"):
        key_file.unlink()
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    write(root / "etc/machine-id", "")
    for folder in ("etc", "var"):  # newer than /usr: nothing is to be rebuilt at the first boot (ConditionNeedsUpdate=)
        (root / folder / ".updated").touch()
