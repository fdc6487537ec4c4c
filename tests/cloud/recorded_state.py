"""The state that a release leaves behind, recorded without its secrets; and previews of today's code against it.

`make record-state` runs this as `unshare --net python -m tests.cloud.recorded_state FOLDER VERSION`: `up` on the rig,
then tests/cloud/states/VERSION.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from ci.redact import SECRET, SIGNATURE
from tests.cloud.program_rig import Rig

STATES = Path(__file__).parent / "states"
STACK = "upgrade"
MADE_UP = {SIGNATURE: SECRET, "plaintext": '"scrubbed"'}
PROVIDER = "__provider"
"""A dynamic resource's code, by the names of our classes: the engine marks it secret, and needs it to compare."""
NOISE = ("sourcePosition", "stackTrace", "created", "modified")


def configure(rig: Rig) -> None:
    """The stack that is recorded and previewed: the embedded default, protected as in production."""
    rig.use(STACK, "Pulumi.local.yaml")
    rig.change(protect=True)


def scrubbed(value: Any) -> Any:
    """An exported state without secrets (each becomes the same made-up one) and without what tells nothing."""
    if isinstance(value, list):
        return [scrubbed(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get(SIGNATURE) == SECRET:
        return MADE_UP
    return {
        key: part if key == PROVIDER else scrubbed(part)
        for key, part in value.items()
        if key not in (*NOISE, "secrets_providers")
    }


def record(folder: Path, version: str) -> Path:
    """Bring the stack up with today's code and keep its state as that of `version`."""
    rig = Rig(folder)
    rig.start()
    configure(rig)
    rig.pulumi("up", "--yes", "--skip-preview")
    text = rig.pulumi("stack", "export", "--show-secrets").stdout.replace(str(folder), "/folder")
    STATES.mkdir(exist_ok=True)
    path = STATES / f"{version}.json"
    path.write_text(json.dumps(scrubbed(json.loads(text)), indent=1) + "\n")
    rig.stop()
    return path


def preview(rig: Rig, state: Path) -> str:
    """What `pulumi preview --json` of the rig's program says to a stack with the recorded `state`."""
    content = json.loads(state.read_text())
    salt = yaml.safe_load(rig.config_file.read_text())["encryptionsalt"]
    content["deployment"]["secrets_providers"] = {"type": "passphrase", "state": {"salt": salt}}
    file = rig.folder / "import.json"
    file.write_text(json.dumps(content))
    rig.pulumi("stack", "import", "--force", "--file", str(file))
    return rig.pulumi("preview", "--json", "--show-sames", check=False).stdout


if __name__ == "__main__":
    print(record(Path(sys.argv[1]), sys.argv[2]))
