"""Plan -> resources. One module per cloud; what they have in common is here, and no cloud's SDK."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from infra.bootstrap import Stage0
from infra.catalog import Catalog
from infra.plan import Choice, Plan
from infra.settings import Settings

if TYPE_CHECKING:
    import pulumi  # slow to import, and ops/ does without


class CloudError(Exception):
    """The cloud can't be asked, or can't give what the plan needs; the message says what to do."""


@dataclass(frozen=True)
class Placement:
    """Where the machine goes and why. `known_ssh_keys`: key blob -> id of SSH keys the project has from elsewhere.

    `notes` is what a preview should say besides, e.g. that a price differs from the catalog's. Where a cloud has them:
    `zone` in the location, `image` as it is named there, `dns_zone_id`, and whether to `adopt_bucket`, which is there.
    """

    choice: Choice
    why: str
    known_ssh_keys: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    zone: str = ""
    image: str = ""
    dns_zone_id: str = ""
    adopt_bucket: bool = False


@dataclass(frozen=True)
class Machine:
    """A built node as the release needs it: public address, cloud-init's instance id, the data volume's device path.

    `ready` is what has to exist before a release can be applied. `own_bucket`: the cloud's SDK made the bucket, which
    is among `ready`. `login` is how administrators come in where that is not SSH.
    """

    node: str
    address: pulumi.Output[str]
    instance_id: pulumi.Output[str]
    data_device: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]
    own_bucket: bool = False
    login: pulumi.Output[str] | None = None


class Cloud(Protocol):
    """What a module in this package offers."""

    def place(self, plan: Plan, settings: Settings, catalog: Catalog) -> Placement:
        """Choose once: the place of what exists, else the first orderable choice. Raises CloudError."""

    def build(self, plan: Plan, placement: Placement, catalog: Catalog, stage0: Stage0) -> Machine:
        """Register the plan's resources; what `stage0` renders becomes a secret property."""


def ssh_key_parts(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """The administrators' SSH keys, each once: a name for it, its blob (type and key without comment), its line."""
    for line in sorted(set(plan.ssh_public_keys)):
        blob = " ".join(line.split()[:2])
        yield f"admin-{hashlib.sha256(blob.encode()).hexdigest()[:8]}", blob, line


def load(name: str) -> Cloud:
    """The module of cloud `name`; only this one's SDK gets imported."""
    return cast(Cloud, importlib.import_module(f"infra.clouds.{name}"))
