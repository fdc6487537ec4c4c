"""Caddy's certificates, keys and ACME account in the bucket: encrypted, written when they changed, restored once."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import subprocess
import tarfile
from pathlib import Path

from sekha_backup import machine
from sekha_backup.bucket import Bucket
from sekha_backup.machine import FILES, Place, RefusedError

SKIP = {"locks", "last_clean.json", "instance.uuid"}  # of the running process, not of the certificates
LIMIT = 64 << 20  # bytes; certificates are a few kB each
DONE = machine.ROOT / "var/lib/sekha-deploy/caddy-backed-up"


def pack(folder: Path) -> bytes:
    """The folder as a tar whose bytes depend on its content alone."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if relative.parts[0] in SKIP or not (path.is_file() or path.is_dir()) or path.is_symlink():
                continue
            entry = tar.gettarinfo(path, str(relative))
            entry.mtime = 0
            if path.is_file():
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)
    return out.getvalue()


def seal(plain: bytes, key: str) -> bytes:
    """Encrypt and authenticate; what release_secrets.py does for a release: openssl's format, line feed, HMAC."""
    sealed = _openssl(plain, key, "-e")
    return sealed + b"\n" + _mac(sealed, key).encode()


def unseal(data: bytes, key: str) -> bytes:
    """Raises RefusedError when it was sealed with another key, or damaged."""
    sealed, _, mac = data.rpartition(b"\n")
    if not hmac.compare_digest(_mac(sealed, key).encode(), mac):
        raise RefusedError("the backup of Caddy's files is damaged, or sealed with another stack key")
    return _openssl(sealed, key, "-d")


def _mac(sealed: bytes, key: str) -> str:
    return hmac.digest(hmac.digest(bytes.fromhex(key), b"mac", "sha256"), sealed, "sha256").hex()


def _openssl(data: bytes, key: str, direction: str) -> bytes:
    source, sink = os.pipe()
    os.write(sink, key.encode() + b"\n")
    os.close(sink)
    command = ["openssl", "enc", direction, "-aes-256-ctr", "-pbkdf2", "-salt", "-pass", f"fd:{source}"]
    try:
        return subprocess.run(
            command, input=data, capture_output=True, pass_fds=[source], timeout=60, check=True
        ).stdout
    finally:
        os.close(source)


def save(place: Place, folder: Path = machine.CADDY, done: Path = DONE) -> bool:
    """Write the folder to the bucket if it changed since last time; whether it did. Raises OSError."""
    plain = pack(folder) if folder.is_dir() else b""
    digest = hashlib.sha256(plain).hexdigest()
    if not plain or not any(folder.iterdir()) or (done.exists() and done.read_text() == digest):
        return False
    Bucket(place).put(place.named("caddy"), seal(plain, place.derived(FILES)))
    machine.write(done, digest)
    return True


def bring_back(place: Place, folder: Path = machine.CADDY) -> bool:
    """The bucket's files into the folder unless it holds something; whether it did. Raises RefusedError, OSError."""
    if folder.is_dir() and any(folder.iterdir()):
        return False
    answer = Bucket(place).get(place.named("caddy"))
    if answer.status == 404:
        return False
    plain = unseal(answer.body, place.derived(FILES))
    aside = folder.with_name(folder.name + ".new")
    subprocess.run(["rm", "-rf", str(aside)], check=True)
    aside.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        tar.extractall(aside, filter="tar")
    subprocess.run(["chown", "-R", "caddy:caddy", str(aside)], check=True)
    if folder.is_dir():
        folder.rmdir()
    aside.rename(folder)
    return True
