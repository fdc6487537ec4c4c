"""`make bench-localcloud`: the API without machines, then 20 real machines (ONLY=api or ONLY=machines)."""

from __future__ import annotations

import os

from bench.localcloud import api, machines
from ops.show import json_line


def main() -> None:
    """Measure and print."""
    only = os.environ.get("ONLY", "")
    if only not in ("", "api", "machines"):
        raise SystemExit(f"ONLY={only} is neither api nor machines")
    found = {}
    if only != "machines":
        found["api"] = api.measure()
        api.show(found["api"])
    if only != "api":
        found["machines"] = machines.measure()
        machines.show(found["machines"])
    json_line(found)


if __name__ == "__main__":
    main()
