"""Figures for people (a table) and, with JSON=1, for programs (one JSON object as the last line)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A plain-text table: the first column to the left, the others to the right."""
    lines = [list(header), *[[_cell(value) for value in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def render(line: Sequence[str]) -> str:
        cells = [
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([render(lines[0]), "  ".join("-" * width for width in widths), *map(render, lines[1:])])


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def json_wanted() -> bool:
    return os.environ.get("JSON") == "1"


def json_line(figures: Mapping[str, object]) -> None:
    """Print `figures` as one JSON object on a line of its own when JSON=1 asks for it."""
    if json_wanted():
        sys.stdout.flush()
        print(json.dumps(figures, sort_keys=True), flush=True)


def say(text: str) -> None:
    """One line of progress, on standard error so that standard output stays clean for results."""
    print(f"sekha: {text}", file=sys.stderr, flush=True)
