"""Write the golden lists of resources anew: `tools/run --dev python -m tests.unit.infra.golden`; review the diff."""

from __future__ import annotations

from tests.unit.infra import golden, mocked

for cloud in mocked.CONFIGS:
    golden.path(cloud).write_text(golden.listing(cloud))
