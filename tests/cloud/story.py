"""A story is a module that plays a stack's life in a network namespace of its own; tests read the records it leaves."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import alone

REPO = Path(__file__).resolve().parents[2]


def record(module: str, folder: Path, seconds: int) -> dict[str, Any]:
    """Run `module` on `folder`; what it wrote to story.json there. Fails with its output, and after `seconds`."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    result = subprocess.run(
        alone(module, str(folder)), cwd=REPO, capture_output=True, text=True, check=False, timeout=seconds
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-6000:]
    told: dict[str, Any] = json.loads((folder / "story.json").read_text())
    return told
