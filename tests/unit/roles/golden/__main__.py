"""python -m tests.unit.roles.golden: write the golden files anew; look at the diff before committing it."""

from pathlib import Path

from infra.roles import CLOUD_INIT, render, render_machine
from tests.unit.roles.variables import SQLITE, VARIABLES

for step in [*render_machine(VARIABLES), render(CLOUD_INIT / "sqlite", SQLITE)]:
    (Path(__file__).parent / f"{step.role}.yaml").write_text(step.config)
