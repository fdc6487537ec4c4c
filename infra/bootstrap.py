"""Node -> stage-0 user-data: the one thing a machine is born with. Rendered here, written in cloud-init/stage0/."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from infra import keys, naming
from infra.catalog import Catalog
from infra.settings import Settings

STAGE0 = Path(__file__).resolve().parent.parent / "cloud-init" / "stage0"


class TooLargeError(Exception):
    """The user-data does not fit what the cloud takes."""


@dataclass(frozen=True)
class NodeKeys:
    """A machine's key to the bucket."""

    access_key: str
    secret_key: str = field(repr=False)


# As long as the keys that a cloud makes, to check the size before there is one.
PLACEHOLDER = NodeKeys("A" * 20, "S" * 64)


class Stage0:
    """The user-data of one node, checked to fit the cloud. Raises TooLargeError; jinja2.UndefinedError on a variable
    that the template wants and this does not know."""

    def __init__(self, settings: Settings, node: str, catalog: Catalog) -> None:
        self.settings, self.node, self.catalog = settings, node, catalog
        self.text(PLACEHOLDER)

    def text(self, node_keys: NodeKeys | None = None) -> str:
        """The cloud-config with `node_keys`, else the config's; for a small limit gzipped and in base64."""
        text = render(self.settings, self.node, node_keys)
        if not self.catalog.packed_user_data:
            return _fitting(text.encode(), self.node, self.catalog.user_data_limit).decode()
        packed = _fitting(gzip(text.encode()), self.node, self.catalog.user_data_limit)
        return base64.b64encode(packed).decode()


def user_data(settings: Settings, node: str, limit: int, stage0: Path = STAGE0) -> str:
    """The plain cloud-config for `node` with the config's keys. Raises TooLargeError when it is over `limit` bytes."""
    return _fitting(render(settings, node, stage0=stage0).encode(), node, limit).decode()


def render(settings: Settings, node: str, node_keys: NodeKeys | None = None, stage0: Path = STAGE0) -> str:
    """The cloud-config as text. It holds exactly two secrets, the node's bucket key and the stack key (none where
    stage0/CLOUD.py fetches them), and nothing that ages: a changed user-data replaces the machine.
    """
    environment = jinja2.Environment(  # noqa: S701 - makes YAML, not HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["json"] = json.dumps
    bucket, secrets = settings.bucket, settings.secrets
    given = node_keys or NodeKeys(secrets.node_access_key, secrets.node_secret_key)
    return environment.from_string((stage0 / "user-data.yaml.j2").read_text()).render(
        stack=settings.stack,
        node=node,
        bucket={
            "endpoint": bucket.endpoint,
            "region": bucket.region,
            "name": bucket.name,
            "addressing": bucket.addressing,
            "ca_pem": Path(bucket.ca_file).read_text() if bucket.ca_file else "",
        },
        node_access_key=given.access_key,
        node_secret_key=given.secret_key,
        stack_key=settings.secrets.stack_key,
        trusted_keys=trusted_keys(settings),
        programs=programs(settings.cloud, stage0),
        parameters=naming.parameters(settings.stack, node),
    )


def _fitting(content: bytes, node: str, limit: int) -> bytes:
    if len(content) > limit:
        raise TooLargeError(
            f"user-data of {node} has {len(content)} bytes and the cloud takes {limit}; shorten cloud-init/stage0"
        )
    return content


def gzip(content: bytes) -> bytes:
    """`content` in gzip's format (RFC 1952) without time and system, so that equal content gives equal bytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    tail = zlib.crc32(content).to_bytes(4, "little") + (len(content) % 2**32).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + body + tail


def programs(cloud: str, stage0: Path = STAGE0) -> dict[str, str]:
    """Stage 0's Python files, by their path on the machine below stage0/; plug.py is what `cloud` needs of its own."""
    files = {path.relative_to(stage0).as_posix(): path for path in sorted(stage0.glob("sekha_stage0/*.py"))}
    if (plug := stage0 / f"{cloud}.py").exists():
        files["plug.py"] = plug
    return {name: path.read_text() for name, path in files.items()}


def trusted_keys(settings: Settings) -> Sequence[str]:
    """Public keys whose releases a machine accepts: the stack's own and the further ones, without doubles.

    In an order of their own, so that signing with another one of them changes no user-data and replaces no machine.
    """
    return sorted({keys.public_key(settings.secrets.signing_key), *settings.trusted_signers})
