"""run_with_engine.py MODULE ARG...: `python -m MODULE ARG...` that ends when the engine does.

The SDK's own launchers wait for the engine to stop them: killed hard, it leaves them behind for good.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from engine_watch import end_process_group, watch_engine  # type: ignore[import-not-found]  # beside this file


def main() -> None:
    watch_engine(end_process_group)
    sys.path.remove(str(Path(__file__).resolve().parent))
    sys.path.insert(0, "")  # what `python -m` has: the program's folder, where its modules are
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
