"""Whether a desired state is one that this machine may take up: who signed it, for whom it is, and how old it is."""

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from sekha_stage0.common import ETC, RUN, RefusedError, write

NAME, HASH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), re.compile(r"[0-9a-f]{64}")


def verify(body: bytes, config: Mapping[str, Any], accepted: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The manifest in `body` (of desired/NODE), as the text that was signed and parsed. Raises RefusedError.

    `config`: agent.json; `accepted`: generation and text of the manifest taken up last. Only what stage 0 itself uses
    is looked at: the agent that the manifest names checks the rest.
    """
    try:
        envelope = json.loads(body)
        text, signature = str(envelope["manifest"]), str(envelope["signature"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError(f"desired/{config['node']} is not a signed manifest: {error!r}") from None
    check_signature(text, signature)
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"the signed text is no JSON: {error}") from None
    check_form(manifest)
    for key in ("stack", "node"):
        if manifest[key] != config[key]:
            raise RefusedError(f"manifest is for {key} {manifest[key]!r}; this is {config[key]!r}")
    new, old = manifest["generation"], accepted["generation"]
    if new < old or (new == old and text != accepted["manifest"]):
        relation = "lower than" if new < old else "another content for"
        raise RefusedError(f"generation {new} is {relation} {old}, accepted before")
    return text, manifest


def check_signature(text: str, signature: str) -> None:
    """Raise RefusedError unless one of the trusted signers signed exactly `text` for this purpose."""
    write(RUN / "signature", signature)
    command = ["ssh-keygen", "-Y", "verify", "-I", "sekha-deploy", "-n", "sekha-release"]
    command += ["-f", str(ETC / "allowed_signers"), "-s", str(RUN / "signature")]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=30, check=False)
    except (subprocess.TimeoutExpired, UnicodeError) as error:
        raise RefusedError(f"bad signature: {error}") from None
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
        raise RefusedError(f"bad signature: ssh-keygen: {''.join(said[-1:])[:300]}")


def check_form(manifest: Any) -> None:
    """Raise RefusedError unless `manifest` has the fields that stage 0 uses, in the form it understands."""
    if not isinstance(manifest, dict):
        raise RefusedError("malformed manifest: it is no JSON object")
    if manifest.get("format") != 1:
        raise RefusedError(f"manifest format {manifest.get('format')!r} is not 1")
    generation, agent = manifest.get("generation"), manifest.get("agent")
    if type(generation) is not int or generation < 1:
        raise RefusedError(f"malformed manifest: generation {generation!r} is no number above 0")
    for key in ("stack", "node", "release"):
        if not isinstance(manifest.get(key), str) or not NAME.fullmatch(manifest[key]):
            raise RefusedError(f"malformed manifest: {key} {manifest.get(key)!r} is no name")
    known = isinstance(agent, dict) and HASH.fullmatch(str(agent.get("sha256"))) and type(agent.get("size")) is int
    if not known:
        raise RefusedError(f"malformed manifest: agent {agent!r} has no sha256 and size")
