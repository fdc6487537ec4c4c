"""Where a stack's bucket is: what the config says, and for the rest what follows from cloud and region. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra import catalog


def resolve(given: Mapping[str, Any], cloud: str, regions: Sequence[str]) -> dict[str, Any]:
    """`given` (the config's sekha:bucket) with endpoint, region and addressing of the cloud's own object store where
    they are missing. The bucket is in the first of `regions`, wherever the machine then is."""
    store = catalog.load(cloud).store
    made = {key: value for key, value in given.items() if value not in ("", None)}
    if store is None:
        return made
    region = made.setdefault("region", next((name for name in regions if store.sells(name)), ""))
    if region:
        made.setdefault("endpoint", store.endpoint.format(region=region))
    made.setdefault("addressing", "virtual")
    return made


def from_config(get: Callable[[str], Any]) -> dict[str, Any]:
    """The same from a stack's raw config (`get` maps a key without namespace to its text)."""
    cloud = get("cloud") or "hetzner"
    regions = json.loads(get("regions") or "[]") or catalog.load(cloud).preferred
    return resolve(json.loads(get("bucket") or "{}"), cloud, regions)
