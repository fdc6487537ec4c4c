"""Node -> stage-0 user-data: the one thing a machine is born with. Rendered here, written in cloud-init/stage0/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import jinja2

from infra import keys
from infra.settings import Settings

STAGE0 = Path(__file__).resolve().parent.parent / "cloud-init" / "stage0"


class TooLargeError(Exception):
    """The user-data does not fit what the cloud takes."""


def user_data(settings: Settings, node: str, limit: int, stage0: Path = STAGE0) -> str:
    """The cloud-config for `node`. Raises TooLargeError when it is over `limit` bytes, and jinja2.UndefinedError on a
    variable that the template wants and this does not know.

    It holds exactly two secrets, the node's bucket key and the stack key, and nothing that ages: a changed user-data
    replaces the machine.
    """
    environment = jinja2.Environment(  # noqa: S701 - makes YAML, not HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["json"] = json.dumps
    bucket = settings.bucket
    text = environment.from_string((stage0 / "user-data.yaml.j2").read_text()).render(
        stack=settings.stack,
        node=node,
        bucket={
            "endpoint": bucket.endpoint,
            "region": bucket.region,
            "name": bucket.name,
            "addressing": bucket.addressing,
            "ca_pem": Path(bucket.ca_file).read_text() if bucket.ca_file else "",
        },
        node_access_key=settings.secrets.node_access_key,
        node_secret_key=settings.secrets.node_secret_key,
        stack_key=settings.secrets.stack_key,
        trusted_keys=trusted_keys(settings),
        agent_source=(stage0 / "agent.py").read_text(),
    )
    size = len(text.encode())
    if size > limit:
        raise TooLargeError(
            f"user-data of {node} has {size} bytes and the cloud takes {limit}; shorten cloud-init/stage0"
        )
    return text


def trusted_keys(settings: Settings) -> Sequence[str]:
    """Public keys whose releases a machine accepts: the stack's own and the further ones, without doubles."""
    return list(dict.fromkeys([keys.public_key(settings.secrets.signing_key), *settings.trusted_signers]))
