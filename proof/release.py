"""`make proof-release`: new versions, changed roles and sizes arrive as releases; a bad one is rolled back.

Needs the running local stack (make up). Works on a copy of the project, and leaves the project's own release behind.
SHORT=1 leaves out the changes of a role and of a size, and the way back.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from ops.engine import LOCAL
from ops.show import json_line, say, table
from ops.up import ssh_command
from proof.machine import remote
from proof.operator_copy import Copy, Run, outputs, server_ids
from proof.probe import Probe, ask

SHORT = os.environ.get("SHORT") == "1"
VERSION = re.compile(r'__version__ = "([^"]+)"')
MARK = "/run/sekha-proof-break"
WORDS = "broken on purpose by make proof-release"
SERVING = "    from .http.app import build_app\n"
BREAK = f"""    import pathlib

    if pathlib.Path("{MARK}").exists():
        raise SystemExit("{WORDS}")
"""
"""Put into a worker's start: the schema is migrated, the switch is made, and then it does not serve."""
CONVERSATION = {"label": "kept", "messages": [{"role": "user", "content": "data stays when the version changes"}]}
ONLY_RELEASE = "Release "
ROLE_FILE = "cloud-init/base/files/etc/sysctl.d/99-sekha.conf"
SIZE_FILE = "Pulumi.local.yaml"


class Story:
    """The steps on one machine; `rows` are the table, `broken` what was not kept."""

    def __init__(self, copy: Copy) -> None:
        self.copy, self.rows, self.broken = copy, list[tuple[str, str, str]](), list[str]()
        self.outputs = outputs()
        self.servers = server_ids()
        self.ssh = ssh_command(LOCAL, dict(self.outputs))
        status, made = ask(self.outputs, "/api/v1/conversations", body=CONVERSATION)
        self.note("conversation stored", f"HTTP {status}", status in (200, 201))
        self.conversation = made["id"]
        self.figures: dict[str, Any] = {}

    def note(self, what: str, found: object, kept: bool) -> None:
        """One row; a promise not kept is remembered."""
        self.rows.append((what, str(found), "yes" if kept else "NO"))
        say(f"{what}: {found}{'' if kept else '  << NOT AS PROMISED'}")
        if not kept:
            self.broken.append(what)

    def version(self) -> str:
        return str(ask(self.outputs, "/health")[1]["version"])

    def data_stays(self, after: str) -> None:
        status, body = ask(self.outputs, f"/api/v1/conversations/{self.conversation}")
        same = status == 200 and body["messages"][0]["content"] == CONVERSATION["messages"][0]["content"]  # type: ignore[index]
        self.note(f"{after}: data", "there" if same else f"HTTP {status}", same)

    def only_the_release(self, what: str) -> None:
        changes = self.copy.changes()
        only = bool(changes) and all(name.startswith(ONLY_RELEASE) and op == "update" for name, op in changes.items())
        self.note(f"{what}: preview", ", ".join(f"{op} {name}" for name, op in changes.items()), only)

    def up(self, what: str, *, fails: bool = False) -> Run:
        """`make up` with a client asking all the time; the server must stay the same.

        Caddy holds requests for 20 s while the service restarts, so none fails; on a machine with too much to do, or
        where the database restarts because its memory changes, some may. How many, and for how long, is a figure and
        no promise: it depends on what else the machine does.
        """
        with Probe(self.outputs, self.conversation) as probe:
            run = self.copy.up()
        self.note(f"{what}: make up", f"exit code {run.code}, {run.seconds:.0f} s", (run.code != 0) == fails)
        if (run.code != 0) != fails:
            print(run.said[-6000:], file=sys.stderr)
        seen = probe.summary()
        self.figures[what] = {**seen, "up_s": round(run.seconds, 1)}
        text = f"{seen['failed']} of {seen['requests']} requests, {seen['longest_silence_s']} s without an answer"
        self.note(f"{what}: failed for clients", text, True)
        self.note(f"{what}: server", "the same" if server_ids() == self.servers else "REPLACED",
                  server_ids() == self.servers)  # fmt: skip
        self.data_stays(what)
        return run


def bad_version(story: Story) -> None:
    """A version that does not start: rolled back, said with its own words; the next `up` tries again."""
    copy = story.copy
    old = story.version()
    new = f"{old}.post1"
    copy.edit("app/src/sekha_service/__init__.py", f'__version__ = "{old}"', f'__version__ = "{new}"')
    copy.edit("app/pyproject.toml", f'version = "{old}"', f'version = "{new}"')
    copy.edit("app/src/sekha_service/server.py", SERVING, BREAK + SERVING)
    remote(story.ssh, f"touch {MARK}")
    story.only_the_release("bad version")
    run = story.up("bad version", fails=True)
    lines = [line.strip() for line in run.said.splitlines() if WORDS in line]
    story.note("bad version: its own words in the output", lines[0] if lines else "missing", bool(lines))
    story.note("bad version: serves", story.version(), story.version() == old)
    story.note("bad version: rolled back, and said so", "yes" if "serves again" in run.said else "no",
               "serves again" in run.said)  # fmt: skip
    remote(story.ssh, f"rm {MARK}")
    story.only_the_release("the same again")
    story.up("new version")
    story.note("new version: serves", story.version(), story.version() == new)


def role_change(story: Story) -> None:
    """A line in a role's file."""
    file = story.copy.folder / ROLE_FILE
    file.write_text(file.read_text() + "# a line of make proof-release\n")
    story.only_the_release("role file")
    story.up("role file")
    there = "proof-release" in remote(story.ssh, "cat /etc/sysctl.d/99-sekha.conf")
    story.note("role file: on the machine", "yes" if there else "no", there)


def size_change(story: Story) -> None:
    """Another number of conversations, within the same plan."""
    setting = "cat /etc/systemd/system/sekha-chroma.service | grep MemoryMax; cat /etc/postgresql/17/main/conf.d/*"
    before = remote(story.ssh, setting)
    story.copy.edit(SIZE_FILE, "sekha:conversations: 20000", "sekha:conversations: 18000")
    story.only_the_release("size")
    story.up("size")
    changed = set(remote(story.ssh, setting).splitlines()) - set(before.splitlines())
    story.note("size: on the machine", "; ".join(line.strip() for line in sorted(changed))[:60], bool(changed))


def main() -> int:
    """0 when all promises were kept."""
    with Copy() as copy:
        story = Story(copy)
        bad_version(story)
        if not SHORT:
            role_change(story)
            size_change(story)
    if not SHORT:
        with Copy() as own:
            back = own.up()
            story.note("back to the project's own release", f"exit code {back.code}", back.code == 0)
    print(table(["promise", "found", "kept"], story.rows))
    json_line({"clients": story.figures, "broken": story.broken})
    return 1 if story.broken else 0


if __name__ == "__main__":
    sys.exit(main())
