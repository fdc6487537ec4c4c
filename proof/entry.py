"""How the command of a proof ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import NoReturn

from ops.engine import OperatorError
from ops.show import say


def finish(main: Callable[[], int]) -> NoReturn:
    """Run `main` and exit with its code; what the operator has to mend is said in one line, with code 1."""
    try:
        sys.exit(main())
    except (OperatorError, subprocess.SubprocessError) as problem:
        say(str(problem))
        sys.exit(1)
