"""`make proof-schema`: a release that changes the database's schema, on the running local stack.

A migration runs once, before the switch, under an advisory lock; one that fails leaves the old version serving on the
old schema; the previous release works on the new schema. What it adds to the schema is taken away at the end.
"""

from __future__ import annotations

from datetime import datetime

from ops.engine import OperatorError
from ops.show import json_line, table
from proof.entry import finish
from proof.machine import remote
from proof.operator_copy import Copy
from proof.probe import ask
from proof.release import VERSION, Story

MIGRATIONS = "app/src/sekha_service/store/migrations/postgres"
EXPAND = "ALTER TABLE conversations ADD COLUMN proof_colour text;\nSELECT pg_sleep(2);\n"
BROKEN = "CREATE TABLE proof_half (x text);\nSELECT proof_nonsense();\n"
LOCK_ID = 0x53454B48_4101  # sekha_service.store.migrate.LOCK_ID
PSQL = "runuser -u postgres -- psql -XAtq sekha -c"
MIGRATE = (
    "setpriv --reuid=sekha --regid=sekha --clear-groups "
    "/opt/sekha/current/venv/bin/sekha-controller migrate-schema --config /etc/sekha/config.toml"
)


def bump(copy: Copy, suffix: str) -> str:
    """The service's next version in the copy."""
    source = copy.folder / "app/src/sekha_service/__init__.py"
    found = VERSION.search(source.read_text())
    if not found:
        raise OperatorError(f"{source} names no version")
    old, new = found[1], found[1].split(".post")[0] + suffix
    copy.edit("app/src/sekha_service/__init__.py", f'"{old}"', f'"{new}"')
    copy.edit("app/pyproject.toml", f'version = "{old}"', f'version = "{new}"')
    return new


class Schema(Story):
    """The story with a database in it."""

    def sql(self, query: str) -> str:
        return remote(self.ssh, f'{PSQL} "{query}"').strip()

    def failing(self) -> None:
        """A migration that fails half way."""
        version = self.version()
        file = self.copy.folder / MIGRATIONS / "9001_proof.sql"
        file.write_text(BROKEN)
        bump(self.copy, ".post1")
        run = self.up("failing migration", fails=True)
        self.note("failing migration: its words", "proof_nonsense", "proof_nonsense" in run.said)
        self.note("failing migration: serves", self.version(), self.version() == version)
        left = self.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'proof_half'")
        self.note("failing migration: left behind", left + " tables", left == "0")
        file.write_text(EXPAND)

    def expanding(self) -> None:
        """The next release adds a column (and takes 2 s for it, while the old version serves)."""
        new = bump(self.copy, ".post2")
        self.up("new schema")
        self.note("new schema: serves", self.version(), self.version() == new)
        rows = self.sql("SELECT count(*) FROM schema_version WHERE version = 9001")
        self.note("new schema: migrated", f"{rows} time(s)", rows == "1")
        applied = datetime.fromisoformat(self.sql("SELECT applied_at AT TIME ZONE 'UTC' FROM schema_version "
                                                  "WHERE version = 9001"))  # fmt: skip
        stamp = remote(self.ssh, "TZ=UTC systemctl show -P ActiveEnterTimestamp --timestamp=utc sekha.service").strip()
        started = datetime.strptime(stamp, "%a %Y-%m-%d %H:%M:%S UTC")
        before = (started - applied).total_seconds()
        self.note(
            "new schema: migrated before the switch", f"{before:.0f} s before the new version started", before > 0
        )

    def locked(self) -> None:
        """While another holds the lock, a migration waits; four at once change nothing."""
        held = (
            f"{PSQL} 'SELECT pg_advisory_lock({LOCK_ID}), pg_sleep(4)' >/dev/null & sleep 1; "
            f"start=$(date +%s%N); {MIGRATE} >/dev/null 2>&1; echo $((($(date +%s%N) - start) / 1000000)); wait"
        )
        waited = int(remote(self.ssh, held).split()[-1])
        self.note("lock held by another for 3 s", f"the migration waited {waited / 1000:.1f} s", waited > 2500)
        count = "SELECT count(*) FROM schema_version"
        before = self.sql(count)
        remote(self.ssh, f"for i in 1 2 3 4; do {MIGRATE} >/dev/null 2>&1 & done; wait")
        self.note("four migrations at once", f"{self.sql(count)} versions, as before", self.sql(count) == before)

    def previous(self) -> None:
        """The release before, on the schema of the new one."""
        with Copy() as own:
            self.copy = own
            self.up("previous release, new schema")
        column = self.sql("SELECT count(*) FROM information_schema.columns WHERE column_name = 'proof_colour'")
        self.note("previous release: schema", "the new one" if column == "1" else "changed back", column == "1")
        status, made = ask(self.outputs, "/api/v1/conversations", body={"label": "old", "messages": [
            {"role": "user", "content": "written by the previous release"}]})  # fmt: skip
        self.note("previous release: writes", f"HTTP {status}", status in (200, 201))
        status, body = ask(self.outputs, f"/api/v1/conversations/{made['id']}")
        self.note("previous release: reads", f"HTTP {status}", body["messages"][0]["content"].startswith("written"))


def main() -> int:
    """0 when all promises were kept."""
    with Copy() as copy:
        story = Schema(copy)
        story.failing()
        story.expanding()
        story.locked()
        story.previous()
    story.sql("ALTER TABLE conversations DROP COLUMN proof_colour; DELETE FROM schema_version WHERE version = 9001")
    print(table(["promise", "found", "kept"], story.rows))
    json_line({"clients": story.figures, "broken": story.broken})
    return 1 if story.broken else 0


if __name__ == "__main__":
    finish(main)
