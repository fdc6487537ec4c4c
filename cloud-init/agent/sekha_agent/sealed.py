"""Opening what a release carries in secret; the format is infra/release_secrets.py's."""

import hmac
import json
import os
import subprocess

from sekha_stage0.common import StepError


def unseal(body: bytes, stack_key: str) -> dict[str, str]:
    """The secrets by name. Raises StepError when they were not sealed with this stack's key."""
    sealed, _, mac = body.rstrip(b"\n").rpartition(b"\n")
    expected = hmac.digest(hmac.digest(bytes.fromhex(stack_key), b"sekha-release-mac", "sha256"), sealed, "sha256")
    if not hmac.compare_digest(expected.hex().encode(), mac):
        raise StepError("the release's secrets are not sealed with this stack's key")
    source, sink = os.pipe()  # the key is in no process's arguments
    os.write(sink, stack_key.encode() + b"\n")
    os.close(sink)
    command = ["openssl", "enc", "-d", "-aes-256-ctr", "-pbkdf2", "-salt", "-pass", f"fd:{source}"]
    plain = subprocess.run(command, input=sealed, capture_output=True, pass_fds=[source], timeout=30, check=False)
    os.close(source)
    if plain.returncode:
        raise StepError("openssl could not open the release's secrets")
    return {str(name): str(value) for name, value in json.loads(plain.stdout).items()}
