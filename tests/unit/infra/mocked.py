"""A cloud's whole program under Pulumi's mocks: the SDK's own argument classes, no cloud and no engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import rpc

from infra import bootstrap, catalog, clouds, plan
from infra.clouds import Placement
from infra.settings import Settings, parse
from tests.unit.infra import samples

SDK_LOOP = asyncio.new_event_loop()  # never closed: the SDK leaves tasks on it
STACK_KEY, SPACES_SECRET, MADE_SECRET = "5" * 64, "operator-spaces-secret", "made-node-secret"
CONFIGS: dict[str, dict[str, object]] = {
    "hetzner": {},
    "digitalocean": {
        "regions": ["fra1"], "bucket": {"name": "sekha-test-do"}, "bucketAccessKey": "operator-spaces-access",
        "bucketSecretKey": SPACES_SECRET, "nodeAccessKey": None, "nodeSecretKey": None,
    },
    "aws": {
        "regions": ["eu-central-1"], "bucket": {"name": "sekha-test-aws"}, "bucketAccessKey": None,
        "bucketSecretKey": None, "nodeAccessKey": None, "nodeSecretKey": None,
    },
}  # fmt: skip
TOKENS = {"hetzner": {}, "digitalocean": {"digitalocean:token": "dop_v1_" + "0" * 64}, "aws": {}}
ADDRESS = "198.51.100.10"
COMPUTED = {
    "ipAddress": ADDRESS, "publicIp": ADDRESS, "allocationId": "eipalloc-1", "accessKey": "DO" + "A" * 18,
    "secretKey": MADE_SECRET, "dropletUrn": "do:droplet:1", "volumeUrn": "do:volume:1", "bucketUrn": "do:space:1",
    "reservedIpUrn": "do:reservedip:1",
}  # fmt: skip


@dataclass
class Row:
    """A resource as it reached the engine: kind ("Droplet"), name, inputs, and the inputs that were marked secret."""

    kind: str
    name: str
    token: str
    inputs: dict[str, Any]
    secret: set[str]
    request: Any = field(repr=False)


class Recorder(pulumi.runtime.Mocks):
    """Remembers every resource, with what is secret about it."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        number = str(100 + len(self.rows))
        extra = {key: value for key, value in COMPUTED.items() if key not in args.inputs}
        extra |= {"arn": f"arn:aws:mock:::{number}", "linuxDevice": f"/dev/disk/by-id/scsi-0HC_Volume_{number}"}
        return number if not args.typ.startswith("aws") else f"x-{number}", {**args.inputs, **extra}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


def settings(cloud: str, **changes: object) -> Settings:
    """The sample settings on `cloud`."""
    return parse(raw(cloud, **changes), "test", {})


def raw(cloud: str, **changes: object) -> dict[str, str]:
    return samples.config(**{"cloud": cloud, **CONFIGS[cloud], **changes}) | TOKENS[cloud]


@dataclass
class Result:
    """What was registered, the outputs a release needs, and which of them were secret."""

    rows: list[Row]
    outputs: dict[str, str]
    machine: clouds.Machine

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]

    def one(self, kind: str, name: str = "") -> Row:
        (row,) = [row for row in self.of(kind) if name in ("", row.name)]
        return row

    def listing(self) -> list[str]:
        """The golden form: one `kind name` a line, sorted."""
        return sorted(f"{row.kind} {row.name}" for row in self.rows)


@contextmanager
def mocks(config: dict[str, str]) -> Iterator[Recorder]:
    """Pulumi's runtime with mocks, for one program."""
    made = Recorder()
    asyncio.set_event_loop(SDK_LOOP)
    pulumi.runtime.set_mocks(made, project="sekha", stack="test")
    pulumi.runtime.set_all_config(config, [key for key in config if key.endswith(("Key", "token"))])
    original = pulumi.runtime.mocks.MockMonitor.RegisterResource

    def register(monitor: Any, request: Any) -> Any:
        answer = original(monitor, request)  # type: ignore[no-untyped-call]
        content = request.object.fields
        secret = {name for name, value in content.items() if _is_secret(value)}
        inputs = rpc.deserialize_properties(request.object)
        made.rows.append(Row(request.type.split(":")[-1], request.name, request.type, _plain(inputs), secret, request))
        return answer

    pulumi.runtime.mocks.MockMonitor.RegisterResource = register  # type: ignore[method-assign]
    try:
        yield made
    finally:
        pulumi.runtime.mocks.MockMonitor.RegisterResource = original  # type: ignore[method-assign]
        pulumi.runtime.settings.reset_options()
        pulumi.runtime.set_all_config({}, [])
        asyncio.set_event_loop(None)


def _is_secret(value: Any) -> bool:
    """Whether a serialized property is, or holds, a secret (the wire's signature for secrets)."""
    return rpc._special_secret_sig in str(value)


def _plain(value: Any) -> Any:
    """`value` without the wire's wrapping of secrets."""
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return _plain(value.get("value"))
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def build(cloud: str, **changes: object) -> Result:
    """Run `cloud`'s program for the sample settings with `changes`."""
    return build_at(cloud, None, **changes)


def build_at(cloud: str, placement: Placement | None, **changes: object) -> Result:
    """The same at a placement; None is the plan's first choice, with nothing there yet."""
    config = raw(cloud, **changes)
    made = parse(config, "test", {})
    offer = catalog.load(cloud)
    planned = plan.plan(made, offer)
    placed = placement or Placement(
        planned.choices[0], "test", zone=f"{planned.choices[0].location}a", image="ami-1", dns_zone_id="Z1"
    )
    done: dict[str, Any] = {}

    def program() -> Any:
        stage0 = bootstrap.Stage0(made, planned.node.name, offer)
        machine = clouds.load(cloud).build(planned, placed, offer, stage0)
        done["machine"] = machine
        known = {"address": machine.address, "instance_id": machine.instance_id, "data_device": machine.data_device}
        return pulumi.Output.all(**known).apply(done.update)

    with mocks(config) as recorder:
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
        machine = done.pop("machine")
        return Result(recorder.rows, done, machine)


def texts(value: object) -> str:
    """All of a resource's inputs as one text, to look for what must not be in it."""
    return json.dumps(value, default=str)
