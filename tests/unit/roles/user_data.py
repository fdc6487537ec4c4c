"""Stage 0 rendered the way infra/bootstrap.py does it, with made-up values."""

from __future__ import annotations

import json

import jinja2

from infra.bootstrap import programs
from infra.roles import CLOUD_INIT

CA = "-----BEGIN CERTIFICATE-----\n" + "\n".join(["A" * 64] * 18) + "\n-----END CERTIFICATE-----\n"
BUCKET = {
    "endpoint": "https://198.51.100.2:9000",
    "region": "r1",
    "name": "sekha-prod",
    "addressing": "path",
    "ca_pem": CA,
}


def render_user_data() -> str:
    environment = jinja2.Environment(  # noqa: S701 - YAML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["json"] = json.dumps
    stage0 = CLOUD_INIT / "stage0"
    return environment.from_string((stage0 / "user-data.yaml.j2").read_text()).render(
        stack="prod",
        node="sekha-prod-1",
        bucket=BUCKET,
        node_access_key="NODEACCESSKEY",
        node_secret_key="NODESECRETKEY",
        stack_key="ab" * 32,
        trusted_keys=["ssh-ed25519 " + "A" * 68, "ssh-ed25519 " + "B" * 68],
        programs=programs("hetzner"),
        parameters="",
    )
