"""Signing manifests with OpenSSH: `ssh-keygen -Y sign`, namespace sekha-release, as the machines verify them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

NAMESPACE = "sekha-release"
PRINCIPAL = "sekha-deploy"
MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where a private folder is made


class SigningError(Exception):
    """ssh-keygen is missing or refused; the message is its own."""


def sign(text: str, private_key: str, namespace: str = NAMESPACE) -> str:
    """The armored signature of exactly `text` (UTF-8) by an OpenSSH private key. Raises SigningError.

    The key is on disk (in memory where there is /dev/shm) only as long as ssh-keygen runs, readable by this user alone.
    """
    with tempfile.TemporaryDirectory(prefix="sekha-sign-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        key = Path(folder) / "key"
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(private_key.strip() + "\n")
        return _run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)], text)


def verify(text: str, signature: str, trusted_keys: list[str]) -> None:
    """Check `signature` of `text` against public lines as a machine does. Raises SigningError when it does not hold."""
    with tempfile.TemporaryDirectory(prefix="sekha-verify-") as folder:
        allowed, armored = Path(folder) / "allowed_signers", Path(folder) / "signature"
        allowed.write_text("".join(f'{PRINCIPAL} namespaces="{NAMESPACE}" {key}\n' for key in trusted_keys))
        armored.write_text(signature)
        _run(
            ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", PRINCIPAL, "-n", NAMESPACE, "-s", str(armored)],
            text,
        )


def _run(command: list[str], text: str) -> str:
    try:
        result = subprocess.run(command, input=text.encode(), capture_output=True, check=False, timeout=30)
    except FileNotFoundError as error:
        raise SigningError("ssh-keygen is missing: apt-get install openssh-client") from error
    if result.returncode != 0:
        raise SigningError(f"ssh-keygen: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout.decode()
