"""The life of a stack on the rig, step by step, recorded for test_stack_program.py.

Run as `unshare --net python -m tests.cloud.program_story FOLDER`; leaves FOLDER/story.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from proof.preview_story import NO_VOLUME, pull_request
from tests.cloud import recorded_state
from tests.cloud.program_rig import REPO, Rig


def main(folder: Path) -> None:
    """Live through a stack's life and leave story.json for the tests."""
    rig = Rig(folder)
    rig.start()
    rig.configure("Pulumi.local.yaml")
    story: dict[str, Any] = {}
    screen: list[str] = []

    def step(name: str, *arguments: str) -> None:
        rig.backend.calls.clear()
        result = rig.pulumi(*arguments, check=False)
        text = result.stdout + result.stderr
        screen.append(text)
        story[name] = {
            "code": result.returncode, "text": text, "objects": rig.objects(),
            "calls": [str(call[0]) for call in rig.backend.calls],
        }  # fmt: skip

    up = ("up", "--yes", "--skip-preview")
    rig.change(conversations=-5, domain="nowhere")
    step("refused", *up)
    rig.change(conversations=20000, domain="")
    right, rig.env["HCLOUD_TOKEN"] = rig.config_file.read_text(), "x" * 64
    rig.config_file.write_text("".join(_without_token(right)))
    step("wrong token", *up)
    rig.config_file.write_text(right)
    step("up", *up)
    story["outputs"] = json.loads(rig.pulumi("stack", "output", "--json", "--show-secrets").stdout)
    step("clean", "preview", "--refresh", "--expect-no-changes")
    story["node rights"] = node_rights(rig)
    rig.change(conversations=60000)
    rig.env["SEKHA_COST_BEFORE"] = story["outputs"]["monthlyCost"]
    step("grow", *up)
    rig.fail_at = "service"
    rig.change(metricsCidrs=["203.0.113.0/24"])
    step("failed release", *up)
    rig.fail_at = ""
    step("again", *up)
    story["before"] = rig.kept()
    rig.change(sshPublicKeys=[KEY])
    step("replace", *up)
    story["after"] = rig.kept()
    story["state"] = rig.pulumi("stack", "export").stdout
    story["secrets"] = {
        name: row["value"]
        for name, row in json.loads(rig.pulumi("config", "--show-secrets", "--json").stdout).items()
        if row["secret"]
    }
    step("destroy", "destroy", "--yes", "--skip-preview")
    rig.use("prod", "Pulumi.prod.yaml")
    step("prod", "preview", "--diff", "--policy-pack", str(REPO / "policy"))
    with pull_request(rig, folder / "pull-request", (*NO_VOLUME, *OPEN)):
        step("pull request", "preview", "--policy-pack", str(rig.program / "policy"))
    plan = json.loads(rig.pulumi("preview", "--json").stdout)
    story["prod plan"] = [row.get("newState", {}) for row in plan["steps"]]
    rig.change(compare=True, conversations=500_000)
    step("compare", *up)
    recorded_state.configure(rig)
    states = sorted(recorded_state.STATES.glob("*.json"))
    story["upgrades"] = {path.stem: recorded_state.preview(rig, path) for path in states}
    with pull_request(rig, folder / "renamed", RENAMED):
        story["renamed volume"] = recorded_state.preview(rig, states[-1])
    story["screen"] = "\n".join(screen)
    (folder / "story.json").write_text(json.dumps(story))
    rig.stop()


OPEN = (
    ("infra/plan.py", 'FirewallRule("tcp", "80", ANYWHERE', 'FirewallRule("tcp", "5432", ANYWHERE'),
    ("infra/guards.py", "*firewall(plan.firewall), ", ""),
)
"""The database open to the world, and the program's own guard against it removed: only the policy pack is left."""
RENAMED = (("infra/clouds/hetzner.py", '            "data",\n', '            "database",\n'),)
"""Another name in the program is another volume to the engine: the old one would go, with the data."""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBWWi5ILPXsYsWTpTt6PMi0vOpQ3hTL4LgsBVzTzTI8x"


def _without_token(text: str) -> str:
    content = yaml.safe_load(text)
    del content["config"]["hcloud:token"]
    return yaml.safe_dump(content)


def node_rights(rig: Rig) -> dict[str, bool]:
    """What the node's key can do in the bucket, tried."""
    node, operator = rig.s3("nodeaccess", "nodesecret"), rig.s3("operatoraccess", "operatorsecret")
    where = {"Bucket": rig.bucket}
    name = f"sekha-{rig.stack}-1"
    file = operator.list_objects_v2(**where, Prefix="releases/files/")["Contents"][0]["Key"]
    version = operator.list_object_versions(**where, Prefix=file)["Versions"][0]["VersionId"]
    backup = {**where, "Key": "backups/x", "Body": b"x"}
    calls: dict[str, Callable[[], object]] = {
        "read desired": lambda: node.get_object(**where, Key=f"desired/{name}"),
        "read file": lambda: node.get_object(**where, Key=file),
        "write status": lambda: node.put_object(**where, Key=f"status/{name}", Body=b"{}"),
        "write backup": lambda: node.put_object(**backup),
        "read backup": lambda: node.get_object(**where, Key="backups/x"),
        "write desired": lambda: node.put_object(**where, Key=f"desired/{name}", Body=b"{}"),
        "write file": lambda: node.put_object(**where, Key="releases/files/0", Body=b"x"),
        "delete file": lambda: node.delete_object(**where, Key=file),
        "write other status": lambda: node.put_object(**where, Key="status/other", Body=b"{}"),
        "read operator's counter": lambda: node.get_object(**where, Key=f"generations/{name}"),
        "change policy": lambda: node.put_bucket_policy(**where, Policy="{}"),
        "delete version": lambda: node.delete_object(**where, Key=file, VersionId=version),
    }
    return {what: _allowed(call) for what, call in calls.items()}


def _allowed(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDenied":
            return False
        raise
    except BotoCoreError:  # versitygw closes the connection on a body it has refused
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
