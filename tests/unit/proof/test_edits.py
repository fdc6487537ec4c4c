"""What the proofs replace in their copies of the project is there; one that finds nothing to break shows nothing."""

from __future__ import annotations

import ast

import pytest

from ops.paths import REPO
from proof import bootstrap_failures, release


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app/src/sekha_service/server.py", release.SERVING),
        ("app/src/sekha_service/__init__.py", "__version__ = "),
        (release.SIZE_FILE, "sekha:conversations: 20000"),
        ("ops/local.py", 'cloud["S3_NODE_SECRET_KEY"],'),
        (bootstrap_failures.CADDY, "packages: ["),
        (bootstrap_failures.CHROMA, "ExecStart="),
    ],
)
def test_what_a_proof_replaces_is_there_once(path: str, text: str) -> None:
    assert (REPO / path).read_text().count(text) == 1


def test_the_broken_version_is_broken_in_its_worker() -> None:
    source = (REPO / "app/src/sekha_service/server.py").read_text()
    broken = ast.parse(source.replace(release.SERVING, release.BREAK + release.SERVING))
    (worker,) = (node for node in broken.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "serve")
    assert release.WORDS in ast.unparse(worker)
