"""The life of a stack as pull requests change it, on the local cloud's API with the real engine; no machine boots.

Run as `unshare --net python -m proof.preview_story FOLDER`; leaves FOLDER/previews/NAME.json for proof/preview.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra import keys
from ops.show import say
from tests.cloud.program_rig import REPO, Rig

Patch = tuple[str, str, str]  # file, text in it, and what a pull request makes of that

NO_VOLUME: tuple[Patch, ...] = (
    ("infra/clouds/hetzner.py", "        volume = self._volume(server)\n", ""),
    ("infra/clouds/hetzner.py", "data_device=volume.linux_device", 'data_device=pulumi.Output.from_input("")'),
    ("infra/clouds/hetzner.py", "ready=(server, volume)", "ready=(server,)"),
)
ELSEWHERE: tuple[Patch, ...] = (
    ("infra/clouds/hetzner_api.py", "        choice=choice,\n", '        choice=Choice("nbg1", choice.server_type),\n'),
)


def main(folder: Path) -> None:
    """Live through the changes, previewing each."""
    rig = Rig(folder)
    rig.start()
    rig.configure("Pulumi.local.yaml")
    rig.change(protect=True)
    out = folder / "previews"
    out.mkdir()

    def preview(name: str) -> None:
        say(f"preview: {name}")
        result = rig.pulumi("preview", "--json", "--show-sames", check=False)
        (out / f"{name}.json").write_text(result.stdout or result.stderr)

    preview("first")
    say("up")
    rig.pulumi("up", "--yes", "--skip-preview")
    preview("nothing")
    for name, key, changed, before in CHANGES:
        rig.change(**{key: changed})
        preview(name)
        rig.change(**{key: before})
    for name, patches in (("volume-removed-protected", NO_VOLUME), ("region-by-code", ELSEWHERE)):
        with pull_request(rig, folder / name, patches):
            preview(name)
    rig.change(protect=False)
    preview("protection-removed")
    say("up")
    rig.pulumi("up", "--yes", "--skip-preview")
    with pull_request(rig, folder / "removal", NO_VOLUME):
        preview("volume-removed")
    rig.stop()


CHANGES: tuple[tuple[str, str, object, object], ...] = (
    ("firewall", "adminCidrs", ["203.0.113.0/24"], ["100.64.0.1/32"]),
    ("firewall-open", "adminCidrs", ["0.0.0.0/0"], ["100.64.0.1/32"]),
    ("resize", "conversations", 60_000, 20_000),
    ("user-data", "trustedSigners", [keys.public_key(keys.generate_signing_key())], []),
    ("region", "regions", ["nbg1"], ["fsn1"]),
    ("budget", "monthlyBudget", 2, 0),
)
"""Name of the preview, config key, its value in the pull request, and before."""


@contextmanager
def pull_request(rig: Rig, folder: Path, patches: tuple[Patch, ...]) -> Iterator[None]:
    """The program as a pull request changes it: a copy of the project's files in `folder`, with `patches`."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (REPO / name).is_file() and not name.startswith(("tests/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((REPO / name).read_bytes())
            (folder / name).chmod((REPO / name).stat().st_mode)
    for name, old, new in patches:
        text = (folder / name).read_text()
        if text.count(old) != 1:
            raise AssertionError(
                f"{name} has {old!r} {text.count(old)} times: mend the patch in proof/preview_story.py"
            )
        (folder / name).write_text(text.replace(old, new))
    path = rig.env["PYTHONPATH"]
    rig.program, rig.env["PYTHONPATH"] = folder, f"{folder}:{path}"
    try:
        yield
    finally:
        rig.program, rig.env["PYTHONPATH"] = REPO, path


if __name__ == "__main__":
    main(Path(sys.argv[1]))
