"""`make drill`: the whole story, its figures, and the receipt. SIZE in MB, SECONDS of writing before the loss."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from infra import sizing
from infra.restore_settings import POSTGRES, SQLITE
from infra.settings import Settings
from ops import data_record, receipt, recover, up
from ops.drill import fill as fill_postgres
from ops.drill import fill_sqlite, load
from ops.drill.cloud import Cloud
from ops.drill.compare import RPO_IDLE, RPO_WRITING, Loss, loss
from ops.drill.load import Writers
from ops.engine import DRILL, Engine, OperatorError
from ops.local import OVERRIDES, engine_of, start_cloud
from ops.paths import stack_dir, write_private
from ops.rebuild import rebuild
from ops.remote import Machine
from ops.show import json_line, say, table

T = TypeVar("T")
SIZE = int(os.environ.get("SIZE", "100"))
SECONDS = float(os.environ.get("SECONDS", "20"))
MOVE = {"sekha:regions": os.environ.get("TO_REGION", ""), "sekha:serverTypes": os.environ.get("TO_PLAN", "")}
UPLOAD = 3.0  # seconds that one upload may take: of a WAL segment of 4 MB on a busy machine
KEPT = ("receipts/",)
DATABASE = os.environ.get("DATABASE") or POSTGRES
fill = fill_sqlite if DATABASE == SQLITE else fill_postgres


def settings_of(engine: Engine) -> Settings:
    found = recover.settings_of(engine)
    if found is None:
        raise OperatorError("the drill's config can't be used; `make drill` makes a new one when the folder is removed")
    return found


def room(megabytes: int) -> dict[str, Any]:
    """The config that gives the stack a volume for three times this much: the data, their log, and the floor's restore
    beside them."""
    conversations, messages = 20_000, 10
    # Volumes come in steps of 10 GB (plan.py).
    while -(-sizing.demand(conversations, messages).disk_gb // 10) * 10 < 3 * megabytes / 1000 + 4:
        conversations += 10_000
    return {"sekha:conversations": conversations, "sekha:database": DATABASE}


def begin(overrides: dict[str, Any]) -> None:
    """A drill starts from nothing: no machine, no volume, no state, and no backups of the drill before."""
    start_cloud()
    if engine_of(DRILL).config_path.exists():
        Cloud(DRILL).pull_plug()
        Cloud(DRILL).lose_everything()
    write_private(stack_dir(DRILL) / OVERRIDES, json.dumps(overrides))
    engine = engine_of(DRILL)
    up.configure(engine)
    settings = settings_of(engine)
    forget_state(engine)
    data_record.wipe(settings, KEPT)


def forget_state(engine: Engine) -> None:
    """Remove what Pulumi knows: a rebuild must not need it. The config copy keeps its secrets."""
    engine.capture("stack", "rm", "--yes", "--force", "--preserve-config")


def timed(what: str, work: Callable[[], T], seconds: dict[str, float]) -> T:
    """Run `work`, note its seconds under `what`."""
    say(f"drill: {what}")
    began = time.monotonic()
    result = work()
    seconds[what] = round(time.monotonic() - began, 1)
    return result


def service() -> tuple[str, str, Machine]:
    """URL and API key of the drill's service, and its machine."""
    outputs = engine_of(DRILL).outputs()
    if outputs.get("caFile"):
        os.environ["SSL_CERT_FILE"] = str(outputs["caFile"])
    return str(outputs["url"]), str(outputs["apiKey"]), Machine(DRILL, outputs)


def write_until_the_plug_is_pulled(url: str, key: str) -> tuple[Writers, float]:
    """SECONDS of writes, and the power cut in the middle of them: the writers, and the moment of the cut."""
    writers, over, cut = Writers(), threading.Event(), [0.0]

    def pull() -> None:
        time.sleep(SECONDS)
        cut[0] = Cloud(DRILL).pull_plug()
        over.set()

    thread = threading.Thread(target=pull)
    thread.start()
    asyncio.run(load.write(url, key, writers, over.is_set))
    thread.join()
    return writers, cut[0]


def story(seconds: dict[str, float]) -> dict[str, Any]:
    """Bring up, write, lose, rebuild, compare. Returns the figures."""
    begin(room(SIZE))
    timed("bring up", lambda: up.up(DRILL), seconds)
    url, key, machine = service()
    rows = timed(f"fill to {SIZE} MB", lambda: fill.fill(machine, SIZE), seconds)
    timed("index what was filled in", lambda: fill.indexed_within(machine, 1200), seconds)
    timed("the log is in the bucket", lambda: fill.archived_within(machine, 1800), seconds)
    before = timed("searches before", lambda: asyncio.run(load.probe(url, key, create=True)), seconds)
    timed("differential backup", lambda: machine.run("systemctl start sekha-backup@diff", timeout=3600), seconds)
    backup = json.loads(machine.run("sekha-backup list --json"))[-1]
    lonely = asyncio.run(load.create_one(url, key))
    idle = timed("a single write reaches the bucket", lambda: fill.archived_within(machine, mark=False), seconds)
    stood = Cloud(DRILL).servers()
    print_bulk, megabytes = fill.fingerprint(machine), fill.size(machine)
    writers, cut = timed("write, and pull the plug", lambda: write_until_the_plug_is_pulled(url, key), seconds)
    gone = timed("lose everything but the bucket", lambda: Cloud(DRILL).lose_everything(), seconds)
    forget_state(engine_of(DRILL))
    moved = {name: [value] for name, value in MOVE.items() if value}
    write_private(stack_dir(DRILL) / OVERRIDES, json.dumps(room(SIZE) | moved))
    os.environ.pop("SSL_CERT_FILE", None)  # the rebuild shall find out by itself whom to trust
    timed("rebuild", lambda: rebuild(DRILL), seconds)
    url, key, machine = service()
    # The searches first: until the new index is adopted, nothing is queued for it, which looks like being complete.
    after = timed("searches after", lambda: asyncio.run(load.probe(url, key, create=False, within=600)), seconds)
    timed("index complete", lambda: fill.indexed_within(machine, 1200), seconds)
    lost = loss([lonely, *writers.acks], fill.written(machine), cut, load.WRITERS)
    restored = json.loads(machine.run(f"cat {fill.RESTORED}"))
    outputs = engine_of(DRILL).outputs()
    stands = Cloud(DRILL).servers()
    told = timed("restore alone (floor)", lambda: machine.run("sekha-backup trial", timeout=3600), seconds)
    trial = json.loads(told.splitlines()[-1])  # before it, how far a long replay is
    stages = {name: float(value) for name, value in (outputs.get("stages") or {}).items()}
    floor = stages.get("boot", 0.0) + sum(trial["seconds"].values())
    return {
        "database": DATABASE,
        "size_mb": round(megabytes, 1),
        "rows": rows,
        "backup_mb_stored": round(backup["stored"] / 1e6, 1),
        "lost_objects": len(gone),
        "rpo": vars(lost) | {"idle_seconds": round(idle, 2)},
        "rto_seconds": seconds["rebuild"],
        "rto_stages": stages,
        "restore": restored,
        "restore_mb_per_s": round(restored["bytes"] / 1e6 / max(sum(restored["seconds"].values()), 0.01), 1),
        "floor_seconds": round(floor, 1),
        "rto_to_floor": round(seconds["rebuild"] / max(floor, 0.1), 2),
        "bulk_equal": fill.fingerprint(machine) == print_bulk,
        "searches_equal": before == after,
        "searches": {"before": before, "after": after},
        "searchable_seconds": round(seconds["searches after"] + seconds["index complete"], 1),
        "servers": {"before": stood, "after": stands},
        "seconds": seconds,
        "broken": broken(lost, idle, fill.fingerprint(machine) == print_bulk, before == after, stands),
    }


def broken(lost: Loss, idle: float, bulk: bool, searches: bool, stands: list[str]) -> list[str]:
    """The promises that did not hold. `stands`: what the rebuilt stack runs on."""
    said = {
        f"RPO under writes {lost.seconds:.1f} s > {RPO_WRITING:g} s and one upload": lost.seconds
        > RPO_WRITING + UPLOAD,
        f"RPO idle {idle:.1f} s > {RPO_IDLE:g} s": idle > RPO_IDLE,
        f"{lost.holes} acknowledged rows are missing although later ones are there": lost.holes > 0,
        "the bulk differs": not bulk,
        "searches differ": not searches,
        f"the stack was to move to {MOVE} and stands on {stands}": any(to not in stands[0] for to in MOVE.values()),
        "nothing was acknowledged": lost.acknowledged < 2,
    }
    return [text for text, wrong in said.items() if wrong]


def show(figures: dict[str, Any], key: str) -> None:
    rpo, restored = figures["rpo"], figures["restore"]
    rows: list[tuple[str, object]] = [
        (figures["database"], f"{figures['size_mb']} MB ({figures['backup_mb_stored']} MB stored)"),
        ("acknowledged rows, lost", f"{rpo['acknowledged']}, {rpo['lost']}"),
        ("RPO under writes", f"{rpo['seconds']} s"),
        ("RPO idle: a single write is in the bucket after", f"{rpo['idle_seconds']} s"),
        ("RTO (rebuild until /health through TLS)", f"{figures['rto_seconds']} s"),
        *((f"  {name}", f"{value} s") for name, value in figures["rto_stages"].items()),
        ("  of restore: download, replay", f"{restored['seconds']['download']} s, {restored['seconds']['replay']} s"),
        ("restored", f"{restored['bytes'] / 1e6:.0f} MB, {figures['restore_mb_per_s']} MB/s"),
        ("floor: boot + download + replay alone", f"{figures['floor_seconds']} s"),
        ("RTO / floor", figures["rto_to_floor"]),
        ("server before, after", " -> ".join(", ".join(names) for names in figures["servers"].values())),
        ("search by meaning complete after", f"{figures['searchable_seconds']} s more"),
        ("bulk before = after", "yes" if figures["bulk_equal"] else "NO"),
        ("searches before = after", "yes" if figures["searches_equal"] else "NO"),
        ("receipt", key),
    ]
    print(table(["drill", "figure"], [(name, str(value)) for name, value in rows]))
    for text in figures["broken"]:
        print(f"BROKEN {text}", file=sys.stderr)


def main() -> int:
    """Run the drill; 1 when a promise did not hold or a step failed. The machine is removed, the receipt kept."""
    seconds: dict[str, float] = {}
    try:
        figures = story(seconds)
        key = receipt.keep(settings_of(engine_of(DRILL)), "drill", figures)
        show(figures, key)
        json_line({**figures, "receipt": key})
        if os.environ.get("KEEP") != "1":
            Cloud(DRILL).pull_plug()
            Cloud(DRILL).lose_everything()
            forget_state(engine_of(DRILL))
    except OperatorError as error:
        print(f"drill: {error}", file=sys.stderr)
        return 1
    return 1 if figures["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
