"""What destroys something wants the stack's name typed."""

from __future__ import annotations

import os

from ops.engine import OperatorError


def typed(stack: str, what: str) -> None:
    """Ask for the stack's name (or take it from CONFIRM). Raises OperatorError when it is not that; `what` is said."""
    try:
        word = os.environ.get("CONFIRM") or input(f"This {what}. Type the stack's name: ")
    except EOFError:
        raise OperatorError(f"nobody is there to type the name: set CONFIRM={stack}; nothing was changed.") from None
    if word != stack:
        raise OperatorError(f"{word!r} is not {stack!r}; nothing was changed.")


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a variable of the command line that is not one of `known`. Raises OperatorError."""
    if value not in known:
        raise OperatorError(f"{name}={value}: must be one of {', '.join(known)}")
