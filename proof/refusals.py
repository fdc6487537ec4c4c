"""`make proof-refusals`: bad input, and what each gets as an answer before any resource is touched.

Config goes through the program's own parser and guards, the host's state through the local cloud's own preflight; that
the engine registers nothing after a refusal is tested in tests/cloud/test_stack_program.py.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from infra import catalog, cost, guards, keys, plan
from infra.config_reader import SettingsError
from infra.settings import parse
from localcloud.preflight import Facts, problems
from ops.engine import Engine, OperatorError
from ops.show import json_line

TOKEN = "t" * 64
SECRETS = ("bucketAccessKey", "bucketSecretKey", "nodeAccessKey", "nodeSecretKey")
HOST = Facts(
    uid=0, addresses=(), routes=(), missing_kernel=(), forward_drops=(), port=8580, port_taken=False, free_gb=50.0,
    cache="the cache folder", default_route=True, nameservers=("10.255.0.53",), other_cloud=None,
)  # fmt: skip


def config(**changes: object) -> dict[str, str]:
    """A valid stack config as the engine passes it, with `changes` (None removes a key)."""
    values: dict[str, object] = {
        "sekha:cloud": "hetzner",
        "sekha:conversations": 20000,
        "sekha:regions": ["fsn1"],
        "sekha:bucket": {"endpoint": "https://s3.example.com", "region": "x", "name": "sekha", "addressing": "path"},
        "sekha:apiKey": keys.generate_api_key(),
        "sekha:stackKey": keys.generate_stack_key(),
        "sekha:signingKey": keys.generate_signing_key(),
        **{
            f"sekha:{name}": "x" * 20
            for name in ("bucketAccessKey", "bucketSecretKey", "nodeAccessKey", "nodeSecretKey")
        },
        "hcloud:token": TOKEN,
        **{name.replace("__", ":"): value for name, value in changes.items()},
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }


def refused_config(**changes: object) -> str:
    """What the program says to a config."""
    try:
        settings = parse(config(**changes), "prod", {})
        offer = catalog.load(settings.cloud)
        made = plan.plan(settings, offer)
        found = guards.check(settings, made, cost.monthly(made, made.choices[0], offer))
    except SettingsError as error:
        return "; ".join(str(problem) for problem in error.problems)
    return "; ".join(str(problem) for problem in found)


def refused_host(**changes: object) -> str:
    """What the local cloud's preflight says to a host."""
    return "; ".join(problems(replace(HOST, **changes)))  # type: ignore[arg-type]


def missing_passphrase() -> str:
    """What an engine call says when the config holds secrets and nothing opens them."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"SEKHA_CACHE": folder}):
        for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
            os.environ.pop(name, None)
        file = Path(folder) / "Pulumi.prod.yaml"
        file.write_text("encryptionsalt: v1:abc\n")
        try:
            Engine("prod", config_file=file).ensure_passphrase()
        except OperatorError as error:
            return str(error).replace(folder, "CACHE")
    return ""


CASES: dict[str, Callable[[], str]] = {
    "unknown cloud": lambda: refused_config(sekha__cloud="hetznr"),
    "unknown region": lambda: refused_config(sekha__regions=["fsn2"]),
    "unknown plan": lambda: refused_config(sekha__serverTypes=["cx34"]),
    "plan too small": lambda: refused_config(sekha__serverTypes=["cx23"], sekha__conversations=90000),
    "negative conversations": lambda: refused_config(sekha__conversations=-5),
    "absurd conversations": lambda: refused_config(sekha__conversations=10**12),
    "more than one server holds": lambda: refused_config(sekha__conversations=100_000),
    "bad CIDR": lambda: refused_config(sekha__adminCidrs=["10.0.0.1/8"]),
    "SSH open to the world": lambda: refused_config(sekha__adminCidrs=["0.0.0.0/0"]),
    "bad domain": lambda: refused_config(sekha__domain="https://sekha.example.com"),
    "short API key": lambda: refused_config(sekha__apiKey="sk-sekha-short"),
    "unknown config key": lambda: refused_config(sekha__conversation=5),
    "missing token": lambda: refused_config(hcloud__token=None),
    "malformed token": lambda: refused_config(hcloud__token="t" * 5),
    "over the budget": lambda: refused_config(sekha__monthlyBudget=2),
    "passphrase missing": missing_passphrase,
    "not root": lambda: refused_host(uid=1000),
    "addresses taken": lambda: refused_host(addresses=(("docker0", "198.51.100.1/24"),)),
    "kernel without overlayfs": lambda: refused_host(missing_kernel=("overlayfs",)),
    "FORWARD policy DROP": lambda: refused_host(forward_drops=("iptables: FORWARD",)),
    "second local cloud": lambda: refused_host(other_cloud="/other/cache/cloud"),
    "disk full": lambda: refused_host(free_gb=0.3),
}


def main() -> int:
    """Print each case with its answer; 1 when one is let through."""
    answers = {name: case() for name, case in CASES.items()}
    for name, answer in answers.items():
        print(f"{name}\n    {answer or 'NOT REFUSED'}")
    json_line({"answers": answers, "let_through": [name for name, answer in answers.items() if not answer]})
    return 0 if all(answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
