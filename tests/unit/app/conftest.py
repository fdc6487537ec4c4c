"""The service's package is found where it lies: app/src isn't installed on the operator's side."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "app" / "src"))
