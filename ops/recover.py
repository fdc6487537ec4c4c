"""Before the engine runs: what a killed run, or a loss in the cloud, left between state and cloud is put right.

The decision is infra/reconcile.py's; here it is carried out. Objects of the stack that the state lacks are imported
into it; rows whose object is gone are left to a refresh; operations that were under way are forgotten: the cloud's
list now tells how they ended. Lost data stop everything until the operator accepts the loss.
"""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
from dataclasses import replace
from importlib import metadata
from types import ModuleType
from typing import Any

from infra.clouds import CloudError
from infra.reconcile import DataRecord, Decision, Found, Known, decide
from infra.settings import Settings, SettingsError, parse
from ops import data_record
from ops.engine import Engine, OperatorError
from ops.show import say
from ops.state_edit import without

RELEASE = "pulumi-python:dynamic/sekha:Release"
STRANGER = "has this stack's label and is none of its objects: remove one or the other"


def recover(engine: Engine, *, destroying: bool = False) -> list[str]:
    """Put right what stands between state and cloud; the engine's arguments that follow from it.

    Raises OperatorError when data are lost and not given up, or the cloud can't be asked.
    """
    settings = settings_of(engine)
    if settings is None:
        return []  # the program refuses it, with every reason
    if (cloud := inventory_of(settings.cloud)) is None:
        return []
    if not destroying:
        data_record.refuse_other_kind(settings)
    state = json.loads(engine.capture("stack", "export"))
    try:
        decision = look(state, settings, cloud)
        if not destroying:
            _accept(decision.lost, settings)
            if decision.lost or any(row.data for row in decision.missing):
                data_record.withdraw(settings)
        for thing in decision.strangers:
            say(
                f"{thing.title} ({thing.id}) has this stack's label and is none of its objects: remove one or the other"
            )
        _mend(engine, state, decision)
        if decision.adopt:
            _adopt(engine, decision.adopt, cloud, state, protect=settings.protect)
        for thing, server in decision.reattach if not destroying else ():
            say(f"{_called(thing)} is attached to nothing: attaching it to server {server}, which boots anew")
            cloud.reattach(settings, thing.id, server)
        again = {server for _, server in decision.reattach}
        for thing in (one for one in decision.start if not destroying and one.id not in again):
            say(f"{thing.title} is off: powering it on")
            cloud.start(settings, thing.id)
    except CloudError as error:
        raise OperatorError(str(error)) from error
    for row in decision.missing:
        say(f"{row.name} ({_kind(row.type)} {row.id}) is gone from the cloud")
    return ["--refresh"] if decision.missing else []


def differences(engine: Engine) -> list[str]:
    """What `up` would put right before it starts, one line each; nothing is changed. Raises OperatorError."""
    settings = settings_of(engine)
    if settings is None or (cloud := inventory_of(settings.cloud)) is None:
        return []
    try:
        decision = look(json.loads(engine.capture("stack", "export")), settings, cloud)
    except CloudError as error:
        raise OperatorError(str(error)) from error
    lines = [f"{decision.lost}; make up refuses"] if decision.lost else []
    lines += [f"{_called(thing)} is in the cloud and not in the state: make up adopts it" for thing in decision.adopt]
    lines += [f"{row.name} ({_kind(row.type)} {row.id}) is gone from the cloud" for row in decision.missing]
    lines += [f"{thing.title} is off: make up powers it on" for thing in decision.start]
    lines += [f"{_called(thing)} is attached to nothing: make up attaches it" for thing, _ in decision.reattach]
    return lines + [f"{_called(thing)} {STRANGER}" for thing in decision.strangers]


def _kind(type_: str) -> str:
    return type_.rpartition(":")[2]


def _called(thing: Found) -> str:
    return f"{thing.title} ({_kind(thing.type)} {thing.id})"


def look(state: dict[str, Any], settings: Settings, cloud: ModuleType) -> Decision:
    """The decision for this state and cloud. The bucket is asked only when a data volume is not where it should be."""
    known, found = rows(state, cloud), cloud.inventory(settings)
    there = {thing.id for thing in found if thing.data}
    kept = [row for row in known if row.data]
    if any(row.id in there for row in kept):
        return decide(known, found, DataRecord())
    record = data_record.read(settings)
    served = any(row["type"] == RELEASE for row in resources(state))
    if not record.volume and not record.ended and kept and served:
        record = replace(record, volume=kept[0].id)  # the bucket is lost too: then the state's word counts
    return decide(known, found, record)


def settings_of(engine: Engine) -> Settings | None:
    """The stack's settings, None where its config can't be used."""
    try:
        return parse(engine.secrets(), engine.stack, os.environ)
    except SettingsError:
        return None


def inventory_of(cloud: str) -> ModuleType | None:
    """The module that lists a cloud's objects, infra/clouds/CLOUD_inventory.py; None where there is none yet."""
    name = f"infra.clouds.{cloud}_inventory"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def resources(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an exported state."""
    return (state.get("deployment") or {}).get("resources") or []


def rows(state: dict[str, Any], cloud: ModuleType) -> list[Known]:
    """The state's resources of this cloud."""
    kinds = {*cloud.TYPES.values(), cloud.SUBNET, cloud.MEMBER}
    return [
        Known(
            row["urn"], row["type"], row["urn"].rpartition("::")[2], row["id"], row["type"] in cloud.DATA, _server(row)
        )
        for row in resources(state)
        if row["type"] in kinds and row.get("id")
    ]  # fmt: skip


def _server(row: dict[str, Any]) -> str:
    """The server that a data volume's row is attached to, "" for none."""
    number = (row.get("outputs") or {}).get("serverId")
    return str(int(number)) if number and "volume" in row["type"] else ""


def _accept(lost: str, settings: Settings) -> None:
    """Go on without the lost data if the operator said so, else raise OperatorError with all that is known.

    Saying so also counts where the loss shows only on the machine, which finds its volume empty.
    """
    stack = settings.stack
    if os.environ.get("ACCEPT_DATA_LOSS") == stack:
        say(f"{lost or 'if its data are gone'}: accepted, going on with an empty database where none is found")
        data_record.end(settings)
    elif lost and settings.backups.restore != "never" and data_record.restorable(settings):
        say(f"{lost}: restoring")
    elif lost:
        raise OperatorError(
            f"{lost}. Nothing was changed. If the volume is elsewhere, give it back its labels; if the data are gone "
            f"for good, go on with an empty database: ACCEPT_DATA_LOSS={stack} make up STACK={stack}"
        )


def _mend(engine: Engine, state: dict[str, Any], decision: Decision) -> None:
    """Forget interrupted operations, and rows whose place an adopted object takes."""
    pending = (state.get("deployment") or {}).get("pending_operations") or []
    for operation in pending:
        say(f"a killed engine was {operation['type']} {operation['resource']['urn'].rpartition('::')[2]}")
    if pending or decision.replaced:
        gone = {(row.urn, row.id) for row in decision.replaced}
        engine.capture("stack", "import", stdin=json.dumps(without(state, gone)))


def _adopt(
    engine: Engine, things: tuple[Found, ...], cloud: ModuleType, state: dict[str, Any], *, protect: bool
) -> None:
    """Import `things` into the state. A server comes without its user-data, which no API gives back: the engine
    replaces it; volume and address stay."""
    for thing in things:
        say(f"{_called(thing)} is in the cloud and not in the state: adopting it")
    version = metadata.version(cloud.PLUGIN)
    wanted: list[dict[str, Any]] = [
        {"type": thing.type, "name": thing.name, "id": thing.id, "parent": engine.stack, "version": version}
        for thing in things
    ]
    components = [row["urn"] for row in resources(state) if row["type"] == cloud.COMPONENT]
    parents = {engine.stack: components[0]} if components else {}
    if not parents:
        wanted.insert(0, {"type": cloud.COMPONENT, "name": engine.stack, "component": True})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"nameTable": parents, "resources": wanted}, file)
        file.flush()
        flags = ["--yes", "--skip-preview", "--generate-code=false", f"--protect={str(protect).lower()}"]
        engine.capture("import", "--file", file.name, *flags)


def check_destroyed(engine: Engine) -> None:
    """After `destroy`, nothing of the stack is in the cloud or waits in the bucket; else OperatorError names it."""
    settings = settings_of(engine)
    cloud = inventory_of(settings.cloud) if settings else None
    if settings is None or cloud is None:
        return
    try:
        left = cloud.inventory(settings)
    except CloudError as error:
        raise OperatorError(str(error)) from error
    if left:
        names = ", ".join(f"{thing.title} ({thing.id})" for thing in left)
        raise OperatorError(f"destroyed what the state knows; these are still in the cloud: {names}")
    data_record.clear(settings)
