"""`make proof-terraform`: the Terraform example of localcloud/README.md, by the real command, on the local cloud.

Terraform or OpenTofu has to be installed; the provider is built from its pinned Go module (tools/go/hcloud; once, some
minutes) and given to it as a mirror, for the example is run as it stands, and its registry may be out of reach.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from localcloud.machines.paths import paths_from_env
from ops.engine import OperatorError
from ops.show import json_line, say, table
from proof.cloud_rig import localcloud
from proof.entry import finish
from tools import toolchain_go as golang

MODULE = "github.com/hetznercloud/terraform-provider-hcloud"
PLATFORMS = {"x86_64": "linux_amd64", "aarch64": "linux_arm64"}
REGISTRIES = {"terraform": "registry.terraform.io", "tofu": "registry.opentofu.org"}  # what "hetznercloud/hcloud" means
PAGE = Path(__file__).parent.parent / "localcloud" / "README.md"
OUTPUT_LIMIT, STEP_LIMIT = 1500, 300  # characters of a failed step that are shown; s


def example(page: str) -> str:
    """main.tf as the page has it. Raises OperatorError when there is none."""
    found = re.search(r"^```hcl\n(# main\.tf\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    if found is None:
        raise OperatorError(f"{PAGE} has no main.tf")
    return found[1]


def provider_version() -> str:
    """The provider's version that the toolchain's lock names."""
    lock = (golang.GO_SOURCES / "hcloud" / "go.mod").read_text()
    return str(re.findall(rf"^\s*{re.escape(MODULE)} v(\S+)$", lock, re.MULTILINE)[0])


def provider(folder: Path) -> Path:
    """The provider's program in that folder, built first if it isn't there."""
    program = folder / f"terraform-provider-hcloud_v{provider_version()}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".work-", dir=folder, ignore_cleanup_errors=True) as temp:
            go = golang.find_go(os.environ.get("PATH", ""))[0] or golang.install_go(Path(temp))
            env, made = golang.go_environment(go, Path(temp) / "go"), Path(temp) / "provider"
            golang.build_program(go, "the provider", MODULE, made, cwd=golang.GO_SOURCES / "hcloud", env=env)
            made.rename(program)
    return program


def environment(command: str, program: Path, work: Path) -> dict[str, str]:
    """What the command gets: the local cloud's endpoint and token, and where the provider is."""
    version, mirror = provider_version(), work / "mirror"
    place = mirror / REGISTRIES[command] / "hetznercloud/hcloud" / version / PLATFORMS[os.uname().machine]
    place.mkdir(parents=True)
    (place / program.name).symlink_to(program)
    config = work / "cli.rc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    cloud = json.loads(localcloud("env", "--new-project", "--json"))
    return {
        **os.environ,
        **cloud,
        "TF_CLI_CONFIG_FILE": str(config),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
    }


def steps(text: str) -> list[tuple[str, str, tuple[str, ...], int, str]]:
    """(name, main.tf, arguments, exit code wanted, words in the output wanted)."""
    apply = ("apply", "-auto-approve")
    labelled = text.replace('location    = "fsn1"', 'location    = "fsn1"\n  labels      = { role = "web" }')
    return [
        ("init", text, ("init",), 0, "successfully initialized"),
        ("apply", text, apply, 0, "1 added, 0 changed, 0 destroyed"),
        ("no difference", text, ("plan", "-detailed-exitcode"), 0, "No changes"),
        ("address", text, ("output", "-raw", "address"), 0, "198.51.100."),
        ("a label more", labelled, apply, 0, "0 added, 1 changed, 0 destroyed"),
        ("unknown type", labelled.replace("cx23", "cx99"), apply, 1, "cx99"),
        ("another type", labelled.replace("cx23", "cx33"), apply, 0, "0 added, 1 changed, 0 destroyed"),
        ("no difference", labelled.replace("cx23", "cx33"), ("plan", "-detailed-exitcode"), 0, "No changes"),
        ("destroy", text, ("destroy", "-auto-approve"), 0, "1 destroyed"),
    ]


def main() -> int:
    """1 if a step ended otherwise than it should."""
    command = next((name for name in ("tofu", "terraform") if shutil.which(name)), "")
    if not command:
        raise OperatorError("neither tofu nor terraform is installed; install one of them and try again")
    program = provider(paths_from_env().cache / "terraform")
    localcloud("up")
    rows = []
    with tempfile.TemporaryDirectory(prefix="sekha-terraform-") as temp:
        work = Path(temp)
        env = environment(command, program, work)
        for name, text, words, code, wanted in steps(example(PAGE.read_text())):
            (work / "main.tf").write_text(text)
            began = time.monotonic()
            done = subprocess.run(
                [command, *words, *([] if words[0] == "output" else ["-no-color", "-input=false"])],
                cwd=work, env=env, capture_output=True, text=True, check=False, timeout=STEP_LIMIT,
            )  # fmt: skip
            output = done.stdout + done.stderr
            good = done.returncode == code and wanted in output
            rows.append((name, " ".join(words), "as it should" if good else "WRONG", time.monotonic() - began))
            if not good:
                say(f"{name}: exit code {done.returncode}\n{output[-OUTPUT_LIMIT:]}")
    print(f"{command} with hetznercloud/hcloud {provider_version()}\n")
    print(table(["step", "command", "ended", "s"], rows))
    bad = [row[0] for row in rows if row[2] == "WRONG"]
    json_line({"engine": command, "steps": len(rows), "bad": bad})
    return 1 if bad else 0


if __name__ == "__main__":
    finish(main)
