"""`make proof-restore-from`: a second stack starts with the first one's data, whose archive is only read.

The first is the local stack, which must be up; its machine is without power meanwhile, so that whatever changes under
its backups was the second's doing (stack `drill`, gone in the end). Object versions are compared: nothing hides there.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from infra.settings import Settings
from ops import data_record, recover, up
from ops.drill import fill, load
from ops.drill.__main__ import begin, settings_of
from ops.drill.cloud import Cloud
from ops.engine import DRILL, LOCAL, Engine, OperatorError
from ops.local import OVERRIDES, engine_of
from ops.paths import stack_dir, write_private
from ops.remote import Machine
from ops.show import json_line, say, table
from proof.entry import finish

ROWS = 3
COUNT = "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(id::text || content, 0)), 0) FROM messages;"
SECRETS = {"stackKey": "restoreStackKey", "nodeAccessKey": "restoreAccessKey", "nodeSecretKey": "restoreSecretKey"}


def service(stack: str) -> tuple[str, str, Machine]:
    """URL and API key of a stack's service, and its machine."""
    outputs = engine_of(stack).outputs()
    if outputs.get("caFile"):
        os.environ["SSL_CERT_FILE"] = str(outputs["caFile"])
    return str(outputs["url"]), str(outputs["apiKey"]), Machine(stack, outputs)


def restoring_from(source: Engine, settings: Settings) -> None:
    """The drill's config gets `restoreFrom` and the three secrets that open the source's backups."""
    bucket = settings.bucket
    place = {
        "stack": LOCAL, "endpoint": bucket.endpoint, "region": bucket.region, "name": bucket.name,
        "addressing": bucket.addressing, "ca": Path(bucket.ca_file).read_text() if bucket.ca_file else "",
    }  # fmt: skip
    write_private(stack_dir(DRILL) / OVERRIDES, json.dumps({"sekha:restoreFrom": place}))
    engine = engine_of(DRILL)
    up.configure(engine)
    known = source.secrets()
    for name, wanted in SECRETS.items():
        engine.set(f"sekha:{wanted}", known[f"sekha:{name}"], secret=True)


def main() -> int:
    """Run the proof; 1 when a promise is broken."""
    source = engine_of(LOCAL)
    settings = recover.settings_of(source)
    if settings is None:
        raise OperatorError("the local stack's config can't be used")
    url, key, machine = service(LOCAL)
    rows: list[tuple[str, str, bool]] = []

    def step(what: str, found: object, kept: bool) -> None:
        rows.append((what, str(found), kept))
        say(f"restore-from: {what}: {found}")

    begin({})  # the second stack has nothing, and no backups either
    for _ in range(ROWS):
        asyncio.run(load.create_one(url, key))
    machine.run("systemctl start sekha-first-backup.service", timeout=3600)
    fill.archived_within(machine)
    data = machine.run(fill.PSQL, stdin=COUNT).strip()
    Cloud(LOCAL).pull_plug()
    try:
        before = data_record.versions(settings)
        restoring_from(source, settings)
        up.up(DRILL)
        second_url, second_key, second = service(DRILL)
        report = json.loads(second.run("cat /srv/sekha/postgresql/17/restored.json"))
        step("restored from stack", report["source"], report["source"] == LOCAL)
        found = second.run(fill.PSQL, stdin=COUNT).strip()
        step("messages and their checksum, first = second", f"{data} = {found}", data == found)
        step("the second has keys of its own", "yes" if second_key != key else "NO", second_key != key)
        asyncio.run(load.create_one(second_url, second_key))
        second.run("systemctl start sekha-first-backup.service sekha-backup@diff.service", timeout=3600)
        fill.archived_within(second)
        made = json.loads(second.run("sekha-backup list --json"))
        step("backups of its own", ", ".join(row["kind"] for row in made), [row["kind"] for row in made] != [])
        own = data_record.versions(settings_of(engine_of(DRILL)))
        step("object versions under its own backups", len(own), len(own) > 0)
        after = data_record.versions(settings)
        changed = sorted({name for name, *_ in set(before) ^ set(after)})
        told = f"{len(before)}, {len(after)}" + (f": {', '.join(changed)[:200]}" if changed else ", all the same")
        step("object versions under the first's, before and after", told, before == after and len(before) > 0)
    finally:
        Cloud(DRILL).pull_plug()
        Cloud(DRILL).lose_everything()
        for name in SECRETS.values():
            engine_of(DRILL).capture("config", "rm", f"sekha:{name}")
        begin({})
        os.environ.pop("SSL_CERT_FILE", None)
        up.up(LOCAL)
    url, key, machine = service(LOCAL)
    found = machine.run(fill.PSQL, stdin=COUNT).strip()
    step("the first, powered on again: its data", found, found == data)
    print(table(["restoreFrom, two stacks", "found", "as promised"],
                [(what, found[:100], "yes" if kept else "NO") for what, found, kept in rows]))  # fmt: skip
    json_line(
        {"found": {what: found for what, found, _ in rows}, "broken": [what for what, _, kept in rows if not kept]}
    )
    return 0 if all(kept for *_, kept in rows) else 1


if __name__ == "__main__":
    finish(main)
